//! `naive`: the new examples alone. Languages without new data are not looked after.

use super::{Candidate, Course, Material, Strategy, joint, joint_candidate};
use crate::example::Example;
use crate::language::Language;

/// The baseline of the paper: plain finetuning.
pub struct Naive;

impl Strategy for Naive {
    fn courses(&self, _material: &Material<'_>) -> Vec<Course> {
        joint()
    }

    fn epoch<'a>(
        &self,
        material: &Material<'a>,
        _course: &Course,
        _epoch: usize,
    ) -> Vec<&'a Example> {
        material.new.iter().collect()
    }

    fn candidates(&self, _courses: &[Course], _language: &Language) -> Vec<Candidate> {
        joint_candidate()
    }
}
