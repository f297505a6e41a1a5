//! What comes of a question.

use super::answer::Answer;
use super::cross_check::CrossCheck;

/// What comes of a question.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// `None`: it was no request, or could not be made.
    pub(super) answer: Option<Answer>,
    pub(super) cross_check: CrossCheck,
}
