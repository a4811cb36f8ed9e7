//! What the authority is told of a peer, from what its transport has found out.

use auth_core::{Caller, CertificateError, Channel, ClientCertificate};
use thiserror::Error;
use transport::{Origin, Peer};

/// A peer that the authority cannot be told about.
#[derive(Debug, Error)]
pub(crate) enum UnknownPeer {
    /// A kind of origin that this daemon does not know.
    #[error("the kind of origin is unknown")]
    Origin,
    /// A certificate that is none.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// What the authority is told of a peer.
pub(crate) fn caller_of(peer: &Peer) -> Result<Caller, UnknownPeer> {
    let certificate = match &peer.certificate {
        Some(proven) => Some(ClientCertificate::from_der(proven.der().to_vec())?),
        None => None,
    };
    Ok(Caller { channel: channel_of(&peer.origin)?, certificate })
}

/// What the authority is told of where a peer comes from.
pub(crate) fn channel_of(origin: &Origin) -> Result<Channel, UnknownPeer> {
    match origin {
        Origin::Local(os) => {
            Ok(Channel::Local { uid: os.uid, gid: os.gid, groups: os.groups.as_slice().into() })
        }
        Origin::Remote(address) => Ok(Channel::Remote(address.ip())),
        _ => Err(UnknownPeer::Origin),
    }
}
