//! Support for the stories.
