//! `polygraft inspect`
