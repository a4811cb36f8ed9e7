//! Downloads over http and https, for large files.
//!
//! A server is a stranger: every wait has a limit, redirects are few and never lead from https to http, and what
//! is sent is given on as it comes. How much is taken, and where it is kept, the caller decides. Certificates
//! are judged as the operating system judges them, so that an administrator's own authorities count, and one
//! that the system drops is dropped here too.

mod client;
mod error;
mod response;
mod url;

pub use client::{Client, Limits, Request};
pub use error::FetchError;
pub use response::{Body, Response};
pub use url::{NotAUrl, Url};
