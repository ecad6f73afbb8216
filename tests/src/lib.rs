//! Tests of the workflow as a whole.
