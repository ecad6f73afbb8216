//! DynamoDB's limit for one item: 1,000 write units a second, and one transaction at a time.

pub mod item_size;
pub mod limited_items;
pub mod statement;
pub mod written_items;
