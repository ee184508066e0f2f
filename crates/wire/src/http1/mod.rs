//! HTTP/1.x messages (RFC 9112): heads, how long a body is, the chunked coding, and whether the connection stays.

mod body;
mod chunked;
mod fields;
mod head;
mod reader;

pub use body::{BodyDecoder, BodyError, BodyKind, FramingError};
pub use chunked::{ChunkedDecoder, ChunkedError, ChunkedProblem, encode_chunk, encode_last_chunk};
pub use fields::Fields;
pub use head::{RequestHead, ResponseHead, Version};
pub use reader::{Head, HeadError, HeadLimits, HeadProblem, HeadReader};
