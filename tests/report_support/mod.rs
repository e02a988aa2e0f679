//! Reports with plausible figures, made from a seed: for tests of what is drawn from them.

use polygraft::language::{Distance, Language};
use polygraft::report::{
    CandidateKind, CandidateReport, Decision, LanguageReport, Origin, ReasonKind, Report, Share,
    Summary, Training,
};

/// Sixty tags, near and far, with regions, scripts, private use and one that no table knows.
pub const TAGS: [&str; 60] = [
    "af",
    "am",
    "ar",
    "az",
    "be",
    "bg",
    "bn",
    "bs",
    "ca",
    "cs",
    "cy",
    "da",
    "de",
    "el",
    "en",
    "es",
    "et",
    "eu",
    "fa",
    "fi",
    "fr",
    "ga",
    "gl",
    "gu",
    "he",
    "hi",
    "hr",
    "hu",
    "hy",
    "id",
    "is",
    "it",
    "ja",
    "ka",
    "kn",
    "ko",
    "lb",
    "lt",
    "lv",
    "ml",
    "mn",
    "mr",
    "ms",
    "nb",
    "ne",
    "nl",
    "pl",
    "pt-BR",
    "ro",
    "ru",
    "sr-Latn",
    "sv",
    "sw",
    "ta",
    "te",
    "th",
    "tr",
    "ur",
    "vi",
    "zh-Hant-TW-x-a-long-private-part",
];

/// Languages with new data in [`report`].
pub const UPDATED: [&str; 4] = ["ar", "de", "fi", "hi"];

/// Numbers from 0 to 1 in an order that looks like chance.
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

pub fn language(tag: &str) -> Language {
    Language::parse(tag).expect("a tag")
}

/// One language with three candidates; the gate's decision follows the best bound.
pub fn entry(chance: &mut Chance, tag: &str, before: Option<f64>, updated: bool) -> LanguageReport {
    let report_examples = 40 + (80.0 * chance.next()) as usize;
    let change = if updated { 0.03 } else { -0.02 } + 0.09 * (chance.next() - 0.45);
    let change = (change * report_examples as f64).round() / report_examples as f64;
    let bound = before.map(|_| change - 0.02 - 0.02 * chance.next());
    let activated = bound.is_none_or(|bound| bound > -0.03);
    let languages = UPDATED.map(language);
    let this = language(tag);
    let near = languages.iter().filter_map(|other| {
        let distance = Distance::default().between(&this, other)?;
        let weight = (1.0 - 1.6 * distance).max(0.0);
        (weight > 0.05).then(|| Share { language: other.clone(), weight, distance: Some(distance) })
    });
    let share = |language| vec![Share { language, weight: 1.0, distance: None }];
    let candidate = |kind, shares, bound: Option<f64>| CandidateReport {
        kind,
        strength: 1.0,
        shares,
        gained: (report_examples as f64 * 0.11) as usize,
        lost: (report_examples as f64 * (0.11 - change)).max(0.0) as usize,
        change: bound.map(|_| change),
        lower_bound: bound,
        upper_bound: bound.map(|bound| 2.0 * change - bound),
        loss_chance: bound.map(|bound| if bound > 0.0 { 0.1 } else { 0.4 }),
        examples_borrowed: bound.map(|_| 120),
    };
    let mut candidates = vec![candidate(CandidateKind::Combined, near.collect(), bound)];
    if updated {
        let own = share(this.clone());
        candidates.push(candidate(CandidateKind::Own, own, bound.map(|bound| bound - 0.01)));
    }
    let all = share(Language::shared());
    candidates.push(candidate(CandidateKind::Shared, all, bound.map(|bound| bound - 0.02)));
    let rule = if activated { "no worse: " } else { "not shown to be no worse: " };
    LanguageReport {
        language: this,
        updated,
        selection_examples: 2 * report_examples,
        report_examples,
        before,
        after: Some((before.unwrap_or(0.7) + change).clamp(0.0, 1.0)),
        candidates,
        chosen: Some(CandidateKind::Combined),
        chosen_strength: 1.0,
        decision: if activated { Decision::Activate } else { Decision::Keep },
        reason_kind: if activated { ReasonKind::NoWorse } else { ReasonKind::Worse },
        reason: format!(
            "{rule}the lower bound of the change is {:+.1} points, and the margin is 3.0",
            100.0 * bound.unwrap_or_default()
        ),
        examples_needed: None,
        serving: None,
        version: activated.then_some(2),
    }
}

/// A report of `count` languages and the shared adapter.
pub fn report(seed: u64, stage: u32, count: usize) -> Report {
    let mut chance = Chance(seed);
    let mut tags: Vec<&str> = UPDATED.to_vec();
    tags.extend(TAGS.iter().filter(|tag| !UPDATED.contains(tag)));
    tags.truncate(count);
    tags.sort_unstable();
    let mut languages: Vec<LanguageReport> = tags
        .into_iter()
        .map(|tag| {
            let before = 0.66 + 0.25 * chance.next();
            entry(&mut chance, tag, Some(before), UPDATED.contains(&tag))
        })
        .collect();
    languages.push(entry(&mut chance, "mul", Some(0.8), false));
    let mut report = Report {
        task: "intent".to_owned(),
        stage,
        strategy: "uriel".to_owned(),
        seed,
        gate: "a candidate is activated where the change in accuracy is above -3.0 points with \
               95 % confidence, by a paired test on at least 20 selection examples"
            .to_owned(),
        languages,
        summary: Summary::default(),
        candidate_summary: Summary::default(),
        origin: Some(Origin {
            polygraft: "0.1.0".to_owned(),
            measured_unix_ms: 951_782_400_000,
            bundle: "e5-small".to_owned(),
            backbone: "0123456789abcdef0123456789abcdef".to_owned(),
        }),
        training: Training {
            examples_new: 1200,
            examples_rehearsed: 680,
            training_runs: UPDATED.len(),
            steps: 470,
            loss_first: 1.83,
            loss_last: 0.42,
            cut_short: false,
            still_falling: false,
            elapsed_ms: 184_300,
        },
        warnings: Vec::new(),
    };
    report.summarise();
    report
}

/// `stages` updates in a row: each begins with what the one before it serves.
pub fn stages(seed: u64, stages: u32, count: usize) -> Vec<Report> {
    let mut reports = vec![report(seed, 1, count)];
    for stage in 2..=stages {
        let mut chance = Chance(seed + u64::from(stage));
        let mut next = report(seed + u64::from(stage), stage, count);
        let last = reports.last().expect("a stage");
        next.languages = last
            .languages
            .iter()
            .map(|entry_before| {
                let served = match entry_before.decision {
                    Decision::Activate => entry_before.after,
                    Decision::Keep => entry_before.before,
                };
                entry(&mut chance, entry_before.language.as_str(), served, entry_before.updated)
            })
            .collect();
        next.summarise();
        reports.push(next);
    }
    reports
}
