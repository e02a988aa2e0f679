//! `per-language`: a language with new examples gets its own version, trained on those alone and
//! starting from what serves it. Nobody else is touched, so nobody else gains or loses.

use super::{Body, Candidate, Course, Material, Strategy};
use crate::example::Example;
use crate::language::Language;
use crate::report::CandidateKind;

/// To each language its own.
pub struct PerLanguage;

impl Strategy for PerLanguage {
    fn courses(&self, material: &Material<'_>) -> Vec<Course> {
        material.languages().into_iter().map(|language| Course { language }).collect()
    }

    fn epoch<'a>(
        &self,
        material: &Material<'a>,
        course: &Course,
        _epoch: usize,
    ) -> Vec<&'a Example> {
        material.new_in(&course.language)
    }

    fn candidates(&self, courses: &[Course], language: &Language) -> Vec<Candidate> {
        let own = courses.iter().position(|course| course.language == *language);
        let candidate =
            own.map(|course| Candidate { kind: CandidateKind::Own, body: Body::Whole(course) });
        candidate.into_iter().collect()
    }
}
