//! transport-quic
