//! Ours next to the original.
