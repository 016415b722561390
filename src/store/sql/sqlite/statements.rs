//! The SQL of SQLite.

use crate::store::sql::dialect::Dialect;

impl Dialect for super::Sqlite {
    const QUOTE: char = '"';

    const PARAMETER: Option<char> = Some('?');

    const SQL: &str = include_str!("statements.sql");

    const IS_CONCURRENT: bool = false;
}
