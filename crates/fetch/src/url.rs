//! Addresses of what is downloaded.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;
use thiserror::Error;

/// The longest address.
const LONGEST: usize = 4096;

/// An address that begins with `http://` or `https://`, names a host, and holds no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(Uri);

/// Text that is no such address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAUrl {
    /// It does not begin with `http://` or `https://`.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// It has letters, a length or a port that no address has, or names no host.
    #[error("it is not a well-formed address, as http://host/path or https://host:port/path")]
    Malformed,
    /// It holds a user's name or password, which would end up in logs.
    #[error("it holds a user name or password, which would end up in logs")]
    Credentials,
}

impl Url {
    /// It without its query, which may hold a secret that opens it: for records, which others may see.
    #[must_use]
    pub fn without_query(&self) -> String {
        format!("{}://{}{}", self.0.scheme_str().unwrap_or_default(), self.authority(), self.0.path())
    }

    /// Whether it is `https`.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    pub(crate) fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_secure() { 443 } else { 80 })
    }

    /// What a request for it begins with, after the method.
    pub(crate) fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", |path| path.as_str())
    }

    /// What its server is called in the request.
    pub(crate) fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    /// Host and port, for people.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    /// What `reference` in a redirect from here means (RFC 3986, section 5.2).
    pub(crate) fn join(&self, reference: &str) -> Result<Self, NotAUrl> {
        let reference = reference.split('#').next().unwrap_or_default();
        let scheme = self.0.scheme_str().unwrap_or_default();
        let root = format!("{scheme}://{}", self.authority());
        // A colon before any slash ends a scheme.
        let has_scheme = reference.split(['/', '?']).next().is_some_and(|start| start.contains(':'));
        if has_scheme {
            return reference.parse();
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return format!("{scheme}://{rest}").parse();
        }
        let path = self.0.path();
        match reference.chars().next() {
            None => Ok(self.clone()),
            Some('/') => format!("{root}{reference}").parse(),
            Some('?') => format!("{root}{path}{reference}").parse(),
            Some(_) => {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!("{root}{directory}/{reference}").parse()
            }
        }
    }
}

impl FromStr for Url {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(NotAUrl::Malformed);
        }
        let uri: Uri = text.split('#').next().unwrap_or_default().parse().map_err(|_| NotAUrl::Malformed)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(NotAUrl::Scheme);
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err(NotAUrl::Credentials),
            Some(authority) if !authority.host().is_empty() && has_port_or_none(authority) => Ok(Self(uri)),
            _ => Err(NotAUrl::Malformed),
        }
    }
}

/// Whether the port is one, if there is something in its place: it must not be taken for the usual one.
fn has_port_or_none(authority: &Authority) -> bool {
    let after_host = authority.as_str().strip_prefix(authority.host());
    after_host.is_some_and(|rest| rest.is_empty() || rest == ":")
        || authority.port_u16().is_some_and(|port| port > 0)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_with_a_host() {
        for (text, place, path) in [
            ("http://example.org", "example.org:80", "/"),
            ("https://example.org/a?b=c", "example.org:443", "/a?b=c"),
            ("HTTPS://example.org:8443/a#part", "example.org:8443", "/a"),
            ("http://[::1]:80/a", "[::1]:80", "/a"),
            ("http://[::1]/a", "[::1]:80", "/a"),
            ("http://example.org:/a", "example.org:80", "/a"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.place().as_str(), url.path()), (place, path), "{text}");
            assert!(!url.without_query().contains("b=c"), "{text}");
        }
        for (text, expected) in [
            ("", NotAUrl::Malformed),
            ("example.org/a", NotAUrl::Malformed),
            ("/a", NotAUrl::Scheme),
            ("ftp://example.org/a", NotAUrl::Scheme),
            ("file:///etc/passwd", NotAUrl::Malformed),
            ("http://", NotAUrl::Malformed),
            ("http:///a", NotAUrl::Malformed),
            ("http://example.org:99999/", NotAUrl::Malformed),
            ("http://example.org:0/", NotAUrl::Malformed),
            ("http://example.org:http/", NotAUrl::Malformed),
            ("http://[::1]:99999/", NotAUrl::Malformed),
            ("http://exa mple.org/", NotAUrl::Malformed),
            ("http://example.org/\r\nX: y", NotAUrl::Malformed),
            ("https://user:secret@example.org/a", NotAUrl::Credentials),
            ("https://user@example.org/a", NotAUrl::Credentials),
            (&format!("http://example.org/{}", "a".repeat(LONGEST)), NotAUrl::Malformed),
        ] {
            assert_eq!(text.parse::<Url>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_redirect_may_be_relative() {
        let from: Url = "https://example.org:8443/a/b?c".parse().unwrap();
        for (reference, expected) in [
            ("http://other.org/x", "http://other.org/x"),
            ("//other.org/x", "https://other.org/x"),
            ("/x?y#z", "https://example.org:8443/x?y"),
            ("x", "https://example.org:8443/a/x"),
            ("?y", "https://example.org:8443/a/b?y"),
            ("x:y/z", "x:y/z"),
            ("", "https://example.org:8443/a/b?c"),
        ] {
            match from.join(reference) {
                Ok(url) => assert_eq!(url.to_string(), expected, "{reference}"),
                Err(error) => assert_eq!((reference, error), ("x:y/z", NotAUrl::Malformed)),
            }
        }
    }
}
