//! TLS as far as it can be seen without keys: records, alerts and hellos (RFC 8446, and RFC 5246 for TLS 1.2).

mod alert;
mod hello;
mod reader;
mod record;
mod tap;

pub use alert::{Alert, AlertDescription, AlertLevel};
pub use hello::{ClientHello, ServerHello};
pub use reader::HelloError;
pub use record::{ContentType, HandshakeType, MAX_RECORD, ProtocolVersion, RecordError, RecordHeader};
pub use tap::{RecordTap, TapEvent};
