//! Tables without a file of their own.
//!
//! | file | type | job |
//! |---|---|---|
//! | `constant` | `static` | one answer for every key |
//! | `fail` | `fail` | fails whatever is asked |

mod constant;
mod fail;

pub use constant::StaticTable;
pub use fail::FailTable;
