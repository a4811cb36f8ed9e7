//! What the daemon has only so much of, and how it is divided among its peers: slots for those that are not
//! authenticated, each trusted client's quota, and tunnels. Here is only counted; who asks, and what becomes of those
//! that get nothing, is decided in `connections` and `service`.

pub(crate) mod capacity;
pub(crate) mod quota;
pub(crate) mod tunnels;
pub(crate) mod unauthenticated;
