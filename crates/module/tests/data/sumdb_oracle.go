// Answers questions about checksum databases, one a line, with Go's own packages.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"oracle/note"
	"oracle/tlog"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		answer, err := answer(words[0], words[1:])
		if err != nil {
			answer = "err " + err.Error()
		}
		fmt.Fprintln(out, answer)
	}
}

func answer(question string, args []string) (string, error) {
	switch question {
	case "sign":
		return sign(args[0], ed25519.NewKeyFromSeed([]byte(decode(args[1]))), decode(args[2]))
	case "note":
		key, err := note.NewVerifier(decode(args[0]))
		if err != nil {
			return "", err
		}
		n, err := note.Open([]byte(decode(args[1])), note.VerifierList(key))
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("ok %s %d %d", encode(n.Text), len(n.Sigs), len(n.UnverifiedSigs)), nil
	case "verifier":
		key, err := note.NewVerifier(decode(args[0]))
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("ok %s %08x", encode(key.Name()), key.KeyHash()), nil
	case "tree":
		tree, err := tlog.ParseTree([]byte(decode(args[0])))
		return fmt.Sprintf("ok %d %s", tree.N, tree.Hash), err
	case "record":
		id, text, rest, err := tlog.ParseRecord([]byte(decode(args[0])))
		return fmt.Sprintf("ok %d %s %s", id, encode(string(text)), encode(string(rest))), err
	case "path":
		tile, err := tlog.ParseTilePath(decode(args[0]))
		if err != nil || tile.L > 63 {
			return "", errors.New("malformed")
		}
		return fmt.Sprintf("ok %d %d %d %d", tile.H, tile.L, tile.N, tile.W), nil
	case "tiles":
		return tiles(int(number(args[0])), number(args[1]), args[2])
	case "index":
		index := number(args[0])
		level, n := tlog.SplitStoredHashIndex(index)
		return fmt.Sprintf("ok %d %d %s", level, n, tlog.TileForIndex(8, index).Path()), nil
	}
	panic("unknown question " + question)
}

// sign gives the verifier key and the note, as they are made.
func sign(name string, key ed25519.PrivateKey, text string) (string, error) {
	verifier, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return "", err
	}
	encoded := append([]byte{1}, key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256([]byte(name + "\n" + string(encoded)))
	private := fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", name, sum[:4], encode("\x01"+string(key.Seed())))
	signer, err := note.NewSigner(private)
	if err != nil {
		return "", err
	}
	message, err := note.Sign(&note.Note{Text: text}, signer)
	return verifier + " " + encode(string(message)), err
}

// recorder notes which tiles are asked for, and has none.
type recorder struct {
	height int
	paths  []string
}

func (r *recorder) Height() int { return r.height }

func (r *recorder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	for _, tile := range tiles {
		r.paths = append(r.paths, tile.Path())
	}
	return nil, errors.New("no tiles")
}

func (r *recorder) SaveTiles([]tlog.Tile, [][]byte) {}

func tiles(height int, size int64, list string) (string, error) {
	var indexes []int64
	for _, index := range strings.Split(list, ",") {
		indexes = append(indexes, number(index))
	}
	r := &recorder{height: height}
	tlog.TileHashReader(tlog.Tree{N: size}, r).ReadHashes(indexes)
	return "ok " + strings.Join(r.paths, " "), nil
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func decode(text string) string {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
