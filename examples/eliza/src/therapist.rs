//! Eliza's side of the conversation: a small script of patterns that gives the speaker's words back.
//!
//! It has no memory and no chance: the same sentence always gets the same answer.

/// What Eliza answers to a sentence.
#[must_use]
pub(crate) fn reply(sentence: &str) -> String {
    let words = words(sentence);
    if words.is_empty() {
        return String::from("I am listening. Say whatever comes to your mind.");
    }
    for rule in SCRIPT {
        if let Some(rest) = find(&words, rule.pattern) {
            let choice = &rule.answers[weight(&words) % rule.answers.len()];
            return fill(choice, &reflect(rest));
        }
    }
    String::from(DEFAULTS[weight(&words) % DEFAULTS.len()])
}

/// Whether the speaker takes leave.
#[must_use]
pub(crate) fn is_farewell(sentence: &str) -> bool {
    let words = words(sentence);
    ["bye", "goodbye", "farewell"]
        .iter()
        .any(|word| words.iter().any(|w| w == word))
}

/// Eliza's greeting, sentence by sentence.
#[must_use]
pub(crate) fn introduction(name: &str) -> Vec<String> {
    let name = match name.trim() {
        "" => "stranger",
        name => name,
    };
    vec![
        format!("Hello, {name}. I am Eliza."),
        String::from("I do not give advice; I ask, and you find the answers."),
        format!("So tell me, {name}: what brings you here today?"),
    ]
}

/// Words to look for, in this order and side by side, and what to answer; `*` stands for what follows them.
struct Rule {
    pattern: &'static [&'static str],
    answers: &'static [&'static str],
}

const fn rule(pattern: &'static [&'static str], answers: &'static [&'static str]) -> Rule {
    Rule { pattern, answers }
}

/// The first rule that fits counts, so the particular ones stand before the general.
const SCRIPT: &[Rule] = &[
    rule(
        &["goodbye"],
        &["Goodbye. It was good to hear you think aloud."],
    ),
    rule(&["bye"], &["Goodbye. Come back when there is more to say."]),
    rule(&["hello"], &["Hello. What would you like to talk about?"]),
    rule(&["hi"], &["Hi. How are you feeling today?"]),
    rule(
        &["i", "feel"],
        &[
            "How long have you felt *?",
            "What makes you feel *?",
            "Do you often feel *?",
        ],
    ),
    rule(
        &["i", "am"],
        &[
            "Why do you say that you are *?",
            "How does it change things that you are *?",
        ],
    ),
    rule(&["i", "need"], &["What would it mean to you to get *?"]),
    rule(&["i", "want"], &["Suppose you got *. What then?"]),
    rule(&["i", "cannot"], &["What would happen if you could *?"]),
    rule(
        &["i", "dream"],
        &["What do you think the dream of * is about?"],
    ),
    rule(
        &["i", "remember"],
        &["What brings back the memory of * just now?"],
    ),
    rule(&["i", "think"], &["What makes you think *?"]),
    rule(&["because"], &["Is that the real reason?"]),
    rule(&["mother"], &["Tell me more about your family."]),
    rule(&["father"], &["How do you get on with your father?"]),
    rule(
        &["you", "are"],
        &["What gives you the impression that I am *?"],
    ),
    rule(&["why"], &["What do you believe is the reason?"]),
    rule(
        &["always"],
        &["Can you think of one time when it was not so?"],
    ),
    rule(&["computer"], &["Do machines worry you?"]),
    rule(&["yes"], &["You seem quite sure. What makes you so?"]),
    rule(&["no"], &["What lies behind that no?"]),
    rule(
        &["my"],
        &[
            "Tell me more about your *.",
            "Why does your * come to mind?",
        ],
    ),
];

const DEFAULTS: &[&str] = &[
    "Please go on.",
    "What does that suggest to you?",
    "How do you feel about that?",
    "Let us stay with that a little. What else comes to mind?",
];

/// Words that change their side when they are given back.
const REFLECTIONS: &[(&str, &str)] = &[
    ("i", "you"),
    ("me", "you"),
    ("my", "your"),
    ("mine", "yours"),
    ("myself", "yourself"),
    ("am", "are"),
    ("you", "I"),
    ("your", "my"),
    ("yours", "mine"),
    ("yourself", "myself"),
];

/// Lower case, without punctuation, contractions spelled out.
fn words(sentence: &str) -> Vec<String> {
    let plain = sentence
        .to_lowercase()
        .replace('\u{2019}', "'")
        .replace("i'm", "i am")
        .replace("you're", "you are")
        .replace("can't", "cannot");
    plain
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The words after the pattern, if the sentence has it.
fn find<'a>(words: &'a [String], pattern: &[&str]) -> Option<&'a [String]> {
    let at = words
        .windows(pattern.len())
        .position(|window| window.iter().zip(pattern).all(|(word, p)| word == p))?;
    Some(&words[at + pattern.len()..])
}

fn reflect(words: &[String]) -> String {
    let reflected: Vec<&str> = words
        .iter()
        .map(|word| {
            REFLECTIONS
                .iter()
                .find(|(from, _)| from == word)
                .map_or(word.as_str(), |(_, to)| to)
        })
        .collect();
    reflected.join(" ")
}

fn fill(answer: &str, rest: &str) -> String {
    match rest {
        "" => answer.replace(" *", " that way").replace('*', "that"),
        rest => answer.replace('*', rest),
    }
}

/// Picks among several answers: by the words, not by chance.
fn weight(words: &[String]) -> usize {
    words.iter().map(String::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speakers_words_come_back() {
        for (sentence, answer) in [
            ("I feel happy", "What makes you feel happy?"),
            (
                "I'm tired of my work.",
                "Why do you say that you are tired of your work?",
            ),
            (
                "You are kind to me",
                "What gives you the impression that I am kind to you?",
            ),
            ("I need a rest!", "What would it mean to you to get a rest?"),
            ("Hello", "Hello. What would you like to talk about?"),
            ("...", "I am listening. Say whatever comes to your mind."),
        ] {
            assert_eq!(reply(sentence), answer, "{sentence}");
        }
    }

    #[test]
    fn every_sentence_gets_an_answer() {
        for sentence in ["", "é", "qwerty", "my", "I am", "because because", "你好"] {
            let answer = reply(sentence);
            assert!(
                !answer.is_empty() && !answer.contains('*'),
                "{sentence}: {answer}"
            );
        }
    }

    #[test]
    fn farewells_are_heard() {
        assert!(is_farewell("Well, goodbye!"));
        assert!(!is_farewell("a byword"));
    }

    #[test]
    fn introductions_name_the_guest() {
        assert_eq!(introduction("Ada").len(), 3);
        assert!(introduction("Ada")[0].contains("Ada"));
        assert!(introduction("  ")[0].contains("stranger"));
    }
}
