//! Who may ask: Basic (RFC 7617) and Bearer (RFC 6750) credentials, held against a file of names and secrets.
//!
//! Every secret of the file is compared with what was sent, by its SHA-256 and in constant time: neither how far two agree
//! nor which line it was can be seen in the time. Secrets are in no log, no message and no `Debug`.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goferry_fetch::{FailKind, FetchError};
use goferry_net::Party;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use crate::answer::{Answer, Request};
use crate::config::Auth;
use crate::route::Route;

/// What a secret begins with of which the file has only the SHA-256, in hexadecimal digits.
const HASHED: &str = "sha256:";
/// More than a file of names and secrets has.
const MAX_FILE: u64 = 4 << 20;
/// Names in a file. Each request is held against all of them.
const MAX_USERS: usize = 10_000;

/// Who may ask.
pub struct Gate {
    scheme: Scheme,
    users: Vec<User>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Open,
    Basic,
    Bearer,
}

/// A line of the file.
struct User {
    /// Who it is, for logs; of a token without a name its number.
    name: String,
    /// The SHA-256 of the name; of zero bytes for tokens, which need none.
    name_hash: [u8; 32],
    /// The SHA-256 of the secret.
    secret_hash: [u8; 32],
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({:?}, {} users)", self.scheme, self.users.len())
    }
}

impl Gate {
    /// Reads the file that the settings name.
    ///
    /// # Errors
    /// Where it cannot be read, has a line that is none, or nobody.
    pub fn open(auth: &Auth) -> Result<Gate, FetchError> {
        let (scheme, path) = match auth {
            Auth::Open => return Ok(Gate { scheme: Scheme::Open, users: Vec::new() }),
            Auth::Basic(path) => (Scheme::Basic, path),
            Auth::Bearer(path) => (Scheme::Bearer, path),
        };
        let failed = |what: String| {
            FetchError::new(FailKind::Forbidden, Party::Client, format!("{}: {what}", path.display()))
                .with_advice("it is the file of names and secrets that auth.file, or --auth-file, names")
        };
        let users = read(path).and_then(|text| parse(scheme, &text)).map_err(failed)?;
        Ok(Gate { scheme, users })
    }

    /// The name of who asks, where they have to say. Whether the process lives is told to everyone.
    ///
    /// # Errors
    /// The answer for who may not ask: 401.
    pub fn admit(&self, route: &Route, request: &Request) -> Result<Option<String>, Box<Answer>> {
        if self.scheme == Scheme::Open || matches!(route, Route::Health | Route::Ready) {
            return Ok(None);
        }
        match self.user(&request.headers) {
            Some(user) => Ok(Some(user.name.clone())),
            None => {
                let mut refusal = self.refusal(&request.headers);
                refusal.note.route = route.name();
                Err(Box::new(refusal))
            }
        }
    }

    fn user(&self, headers: &HeaderMap) -> Option<&User> {
        // More than one of them is ambiguous: whoever stands between may have read the other.
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let (field, None) = (fields.next()?, fields.next()) else { return None };
        let (scheme, credentials) = field.to_str().ok()?.split_once(' ')?;
        let credentials = credentials.trim_matches(' ');
        let (name, secret) = match self.scheme {
            Scheme::Basic if scheme.eq_ignore_ascii_case("basic") => {
                let pair = STANDARD.decode(credentials).ok()?;
                let colon = pair.iter().position(|byte| *byte == b':')?;
                (pair[..colon].to_vec(), pair[colon + 1..].to_vec())
            }
            Scheme::Bearer if scheme.eq_ignore_ascii_case("bearer") => (Vec::new(), credentials.as_bytes().to_vec()),
            _ => return None,
        };
        let (name, secret) = (hash(&name), hash(&secret));
        let (mut found, mut index) = (Choice::from(0), 0_u32);
        for (number, user) in (0_u32..).zip(&self.users) {
            let same = user.name_hash.ct_eq(&name) & user.secret_hash.ct_eq(&secret);
            index.conditional_assign(&number, same);
            found |= same;
        }
        if bool::from(found) { self.users.get(index as usize) } else { None }
    }

    fn refusal(&self, headers: &HeaderMap) -> Answer {
        let (challenge, what) = match self.scheme {
            Scheme::Bearer => ("Bearer realm=\"goferry\"", "a bearer token"),
            _ => ("Basic realm=\"goferry\", charset=\"UTF-8\"", "a name and a password"),
        };
        let text = if headers.contains_key(AUTHORIZATION) {
            format!("this module proxy asks for {what}, and what was sent is not known here")
        } else {
            format!(
                "this module proxy asks for {what}. The go command sends them to https:// URLs only, see `go help goauth`"
            )
        };
        Answer::error(StatusCode::UNAUTHORIZED, text).with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > MAX_FILE { Err("is larger than 4 MiB".to_owned()) } else { Ok(text) }
}

/// Reads lines `name:secret`, of tokens also `secret` alone. Empty lines and those that begin with `#` say nothing.
fn parse(scheme: Scheme, text: &str) -> Result<Vec<User>, String> {
    let mut users: Vec<User> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end_matches(['\r', ' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // No message quotes a line: it may be nothing but a secret.
        let bad = |what: &str| format!("line {number}: {what}");
        let named = match line.split_once(':') {
            // A token that is only known by its hash has a colon too.
            Some(("sha256", _)) if scheme == Scheme::Bearer => None,
            named => named,
        };
        let (name, secret) = match (named, scheme) {
            (Some((name, secret)), _) => (name.to_owned(), secret),
            (None, Scheme::Bearer) => (format!("token {number}"), line),
            (None, _) => return Err(bad("NAME:PASSWORD or NAME:sha256:HEX is wanted")),
        };
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(bad("a name of 1 to 200 characters is wanted before the colon"));
        }
        let secret_hash = match secret.strip_prefix(HASHED) {
            Some(digits) => unhex(digits).ok_or_else(|| bad("sha256: is followed by 64 hexadecimal digits"))?,
            None if secret.is_empty() => return Err(bad("the secret is empty")),
            None if scheme == Scheme::Bearer && !is_token(secret) => {
                return Err(bad(
                    "a token has letters, digits and -._~+/ only, and = at its end (RFC 6750 section 2.1)",
                ));
            }
            None => hash(secret.as_bytes()),
        };
        let name_hash = if scheme == Scheme::Basic { hash(name.as_bytes()) } else { hash(b"") };
        if scheme == Scheme::Basic && users.iter().any(|user| user.name == name) {
            return Err(bad("this name was there before"));
        }
        users.push(User { name, name_hash, secret_hash });
        if users.len() > MAX_USERS {
            return Err(format!("more than {MAX_USERS} names"));
        }
    }
    if users.is_empty() { Err("has nobody in it: nobody could ask".to_owned()) } else { Ok(users) }
}

fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

fn unhex(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::answer::Peer;

    fn gate(scheme: Scheme, text: &str) -> Gate {
        Gate { scheme, users: parse(scheme, text).expect("lines") }
    }

    fn request(fields: &[&str]) -> Request {
        let fields = fields.iter().map(|field| (AUTHORIZATION, HeaderValue::from_str(field).expect("a field")));
        Request {
            peer: Arc::new(Peer {
                connection: 1,
                address: "192.0.2.1".to_owned(),
                protocol: "HTTP/1.1",
                tls: false,
                tcp: None,
            }),
            stream: 1,
            method: Method::GET,
            path: "/".to_owned(),
            headers: fields.collect(),
            body: Bytes::new(),
        }
    }

    fn who(gate: &Gate, fields: &[&str]) -> Result<String, (u16, String)> {
        gate.admit(&Route::Home, &request(fields)).map(Option::unwrap_or_default).map_err(|answer| {
            let challenge = answer.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
            (answer.status.as_u16(), challenge.unwrap_or_default().to_owned())
        })
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    fn hex(secret: &str) -> String {
        hash(secret.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02X}");
            hex
        })
    }

    #[test]
    fn names_and_passwords() {
        let lines = format!("# people\n\nann:s3cret: with colon\nbob:sha256:{}\r\n", hex("päss"));
        let gate = gate(Scheme::Basic, &lines);
        assert_eq!(who(&gate, &[&basic("ann:s3cret: with colon")]).as_deref(), Ok("ann"));
        assert_eq!(who(&gate, &[&basic("bob:päss").replace("Basic", "bAsIc")]).as_deref(), Ok("bob"));
        let refused = Err((401, "Basic realm=\"goferry\", charset=\"UTF-8\"".to_owned()));
        for wrong in [
            basic("ann:päss"),
            basic("bob:s3cret: with colon"),
            basic("ann:"),
            basic("ann"),
            basic(&format!("bob:sha256:{}", hex("päss"))),
            "Basic !".to_owned(),
            "Basic".to_owned(),
            "Bearer s3cret".to_owned(),
        ] {
            assert_eq!(who(&gate, &[&wrong]), refused, "{wrong}");
        }
        assert_eq!(who(&gate, &[]), refused);
        let right = basic("ann:s3cret: with colon");
        assert_eq!(who(&gate, &[&right, &right]), refused);
    }

    #[test]
    fn tokens() {
        let gate =
            gate(Scheme::Bearer, &format!("abc.DEF==\nci:t0ken\nsha256:{}\nnight:sha256:{}\n", hex("x"), hex("y")));
        assert_eq!(who(&gate, &["Bearer abc.DEF=="]).as_deref(), Ok("token 1"));
        assert_eq!(who(&gate, &["bearer t0ken"]).as_deref(), Ok("ci"));
        assert_eq!(who(&gate, &["Bearer x"]).as_deref(), Ok("token 3"));
        assert_eq!(who(&gate, &["Bearer  y"]).as_deref(), Ok("night"));
        for wrong in ["Bearer ", "Bearer ci:t0ken", "Bearer z", "t0ken", "Basic dDBrZW4="] {
            assert_eq!(who(&gate, &[wrong]), Err((401, "Bearer realm=\"goferry\"".to_owned())), "{wrong}");
        }
    }

    #[test]
    fn whether_it_lives_is_told_to_everyone() {
        let gate = gate(Scheme::Bearer, "t");
        for (route, open) in
            [(Route::Health, true), (Route::Ready, true), (Route::Metrics, false), (Route::Warm, false)]
        {
            assert_eq!(gate.admit(&route, &request(&[])).is_ok(), open, "{route:?}");
        }
        let open = Gate::open(&Auth::Open).expect("no file");
        assert_eq!(who(&open, &[]).as_deref(), Ok(""));
    }

    #[test]
    fn bad_files_are_told_without_their_text() {
        for (scheme, text, says) in [
            (Scheme::Basic, "hunter2", "line 1: NAME:PASSWORD"),
            (Scheme::Basic, "a:hunter2\n\na:hunter2", "line 3: this name"),
            (Scheme::Basic, ":hunter2", "line 1: a name"),
            (Scheme::Basic, "a:", "line 1: the secret is empty"),
            (Scheme::Basic, "a:sha256:hunter2", "line 1: sha256: is followed"),
            (Scheme::Bearer, "hunter2 hunter2", "line 1: a token has"),
            (Scheme::Bearer, "# nobody\n", "has nobody in it"),
            (Scheme::Basic, "", "has nobody in it"),
        ] {
            let error = parse(scheme, text).err().expect(says);
            assert!(error.starts_with(says) && !error.contains("hunter2"), "{error}");
        }
        let error = Gate::open(&Auth::Basic("/nowhere/users".into())).expect_err("no file");
        assert!(error.to_string().contains("/nowhere/users: cannot be read"), "{error}");
        let debug = format!("{:?}", gate(Scheme::Basic, "ann:hunter2"));
        assert_eq!(debug, "Gate(Basic, 1 users)");
    }
}
