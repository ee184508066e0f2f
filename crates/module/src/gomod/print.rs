//! A tree as text, in the one style of go.mod files (`golang.org/x/mod/modfile/print.go`).

use super::tree::{BlockId, LineId, Statement, Tree};

/// The file. `parse` of it gives the same again.
pub(super) fn print(tree: &Tree) -> String {
    let mut printer = Printer { tree, out: String::new(), suffix: Vec::new(), in_block: false };
    let last = tree.statements.len().saturating_sub(1);
    for (index, statement) in tree.statements.iter().enumerate() {
        match statement {
            Statement::Comments(comments) => printer.before(comments),
            Statement::Line(line) => {
                printer.line(*line);
                printer.newline();
            }
            Statement::Block(block) => {
                printer.block(*block);
                printer.newline();
            }
        }
        if index < last {
            printer.newline();
        }
    }
    let mut out = printer.out;
    while out == "\n" || out.ends_with("\n\n") {
        out.pop();
    }
    out
}

struct Printer<'a> {
    tree: &'a Tree,
    out: String,
    /// Comments for the end of the line.
    suffix: Vec<&'a str>,
    in_block: bool,
}

impl<'a> Printer<'a> {
    fn line(&mut self, id: LineId) {
        let line = &self.tree.lines[id];
        self.before(&line.comments.before);
        self.tokens(&line.tokens);
        self.behind(&line.comments.suffix);
    }

    fn block(&mut self, id: BlockId) {
        let block = &self.tree.blocks[id];
        self.before(&block.comments.before);
        self.tokens(&block.tokens);
        self.out.push_str(" (");
        self.behind(&block.open_suffix);
        self.in_block = true;
        for &line in &block.lines {
            self.newline();
            self.line(line);
        }
        self.in_block = false;
        self.newline();
        self.before(&block.close.before);
        self.out.push(')');
        self.behind(&block.close.suffix);
        self.behind(&block.comments.suffix);
    }

    /// Comments above something, each on its line.
    fn before(&mut self, comments: &[String]) {
        if comments.is_empty() {
            return;
        }
        self.trim();
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.indent();
        for comment in comments {
            self.out.push_str(comment.trim());
            self.newline();
        }
    }

    fn behind(&mut self, comments: &'a [String]) {
        self.suffix.extend(comments.iter().map(String::as_str));
    }

    fn tokens(&mut self, tokens: &[String]) {
        let mut separator = "";
        for token in tokens {
            if matches!(token.as_str(), "," | ")" | "]" | "}") {
                separator = "";
            }
            self.out.push_str(separator);
            self.out.push_str(token);
            separator = if matches!(token.as_str(), "(" | "[" | "{") { "" } else { " " };
        }
    }

    /// Ends the line. There is no empty line at the top, and no second one in a row.
    fn newline(&mut self) {
        for (index, comment) in std::mem::take(&mut self.suffix).into_iter().enumerate() {
            if index == 0 {
                self.out.push(' ');
            } else {
                self.trim();
                self.out.push('\n');
                self.indent();
            }
            self.out.push_str(comment.trim());
        }
        self.trim();
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
        self.indent();
    }

    fn trim(&mut self) {
        let length = self.out.trim_end_matches([' ', '\t']).len();
        self.out.truncate(length);
    }

    fn indent(&mut self) {
        if self.in_block {
            self.out.push('\t');
        }
    }
}
