//! The checksum database: the GOSUMDB setting (`cmd/go/internal/modfetch/sumdb.go`, `dbDial` and `useSumDB`), and in
//! the modules below what a client of the database reads and checks.
//!
//! | what | where |
//! |---|---|
//! | signed notes and the keys that verify them | [`note`] |
//! | tree heads: the size and hash of the log | [`TreeHead`] |
//! | hashes of records and subtrees, proofs | [`tlog`] |
//! | tiles, their paths and hashes | [`tile`] |
//! | which tiles prove what, and the proof | [`plan`] |
//! | answers to `/lookup/` | [`Lookup`] |

pub mod lookup;
pub mod note;
pub mod plan;
pub mod tile;
pub mod tlog;
pub mod tree;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

pub use self::lookup::Lookup;
pub use self::note::{Note, Verifier, VerifierError};
pub use self::plan::TilePlan;
pub use self::tile::Tile;
pub use self::tree::TreeHead;

use crate::pattern::match_prefix_patterns;
use crate::proxy_url::{ProxyUrl, UrlError};

/// The value of GOSUMDB where nothing sets it.
pub const DEFAULT: &str = "sum.golang.org";

/// The databases whose key the go command knows.
const KNOWN: [(&str, &str); 1] =
    [("sum.golang.org", "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")];

/// Names that stand for a known database at another address.
const ALIASES: [(&str, &str); 1] = [("sum.golang.google.cn", "sum.golang.org https://sum.golang.google.cn")];

/// `encoding/base64.StdEncoding`: padding is required, the bits after the last byte may be anything.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A GOSUMDB value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumDb {
    /// `off`: nothing is looked up, but for toolchains, whose lookup then fails.
    Off,
    /// A database.
    On(Box<Database>),
}

/// A checksum database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name, `host[/path]`; its own address is `https://` and the name.
    pub name: String,
    /// Its verifier key: name, hash and public key, joined by `+`.
    pub key: String,
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
    /// The address in the second field of GOSUMDB. With one, module proxies are not asked for the database.
    pub url: Option<ProxyUrl>,
}

impl SumDb {
    /// Parses GOSUMDB: `off`, or a known name or key, and an address.
    ///
    /// # Errors
    /// Where the go command fails to use it.
    pub fn parse(gosumdb: &str) -> Result<Self, SumDbError> {
        let gosumdb = lookup(&ALIASES, gosumdb).unwrap_or(gosumdb);
        if gosumdb == "off" {
            return Ok(Self::Off);
        }
        let mut fields = gosumdb.split_whitespace();
        let (key, url) = match (fields.next(), fields.next(), fields.next()) {
            (None, ..) => return Err(SumDbError::Missing),
            (Some(key), url, None) => (lookup(&KNOWN, key).unwrap_or(key), url),
            _ => return Err(SumDbError::TooManyFields),
        };
        let verifier = Verifier::parse(key)?;
        let (name, public_key) = (verifier.name(), *verifier.public_key());
        let direct = ProxyUrl::parse(&format!("https://{name}")).ok();
        let plain = |url: &ProxyUrl| {
            url.credentials().is_none()
                && !url.host().is_empty()
                && !name.contains(['?', '#', '%'])
                && !name.ends_with('/')
        };
        if !direct.as_ref().is_some_and(plain) {
            return Err(SumDbError::Name(name.to_owned()));
        }
        let url = url.map(ProxyUrl::parse).transpose().map_err(SumDbError::Url)?;
        Ok(Self::On(Box::new(Database { name: name.to_owned(), key: key.to_owned(), public_key, url })))
    }

    /// Whether a module without hashes in go.sum is looked up, given GONOSUMDB (whose default is GOPRIVATE) and GOPROXY.
    ///
    /// Toolchains always are, even with `off`, unless GOPROXY is a single `file://` address.
    #[must_use]
    pub fn applies(&self, gonosumdb: &str, goproxy: &str, path: &str) -> bool {
        let single_directory = goproxy.starts_with("file://") && !goproxy.contains([',', '|']);
        if path == "golang.org/toolchain" && !single_directory {
            return true;
        }
        *self != Self::Off && !match_prefix_patterns(gonosumdb, path)
    }
}

impl Database {
    /// The address of the database itself, without module proxies.
    #[must_use]
    pub fn direct_url(&self) -> ProxyUrl {
        let own = || ProxyUrl::parse(&format!("https://{}", self.name)).expect("checked by SumDb::parse");
        self.url.clone().unwrap_or_else(own)
    }

    /// The verifier of the database's signed notes.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.name, self.public_key).expect("checked by SumDb::parse")
    }

    /// The path below a module proxy that says whether it answers for the database: `/sumdb/NAME/supported`.
    #[must_use]
    pub fn supported_path(&self) -> String {
        format!("/sumdb/{}/supported", self.name)
    }
}

/// A GOSUMDB value that the go command refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SumDbError {
    /// There is nothing but spaces.
    #[error("missing GOSUMDB: expected a name or key, and maybe an address, or off")]
    Missing,
    /// There are more than two fields.
    #[error("invalid GOSUMDB: too many fields, expected a name or key, and maybe an address")]
    TooManyFields,
    /// The first field is neither a known name nor a key.
    #[error("invalid GOSUMDB: {0}; expected a known name, or a key name+hash+base64")]
    Key(#[from] VerifierError),
    /// The name in the key is not the name of a host.
    #[error("invalid sumdb name (must be host[/path]): {0}")]
    Name(String),
    /// The second field is no address.
    #[error("invalid GOSUMDB URL: {0}")]
    Url(UrlError),
}

fn lookup(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Base64 as Go's standard encoding reads it, which skips line ends.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    if text.contains(['\r', '\n']) {
        return BASE64.decode(text.replace(['\r', '\n'], "")).ok();
    }
    BASE64.decode(text).ok()
}

fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}
