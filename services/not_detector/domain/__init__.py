"""The NOT rules: a course, its rules, and the judgement on each session."""
