"""What a policy says, in the words of `ontrack policy describe`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from contracts.definitions.definition import Language

_EN: Final = {
    "looked": "What it looks at",
    "looked.scale": "The policy looks at one number of each patient: “{label}” of the questionnaire “{instrument}” "
    "({ref}, scale {scale}). It can be from {lowest} to {highest}, and {worse} is worse.",
    "worse.higher": "higher",
    "worse.lower": "lower",
    "baseline": "What a score is compared with",
    "baseline.before_first_session": "Every patient has a baseline: the last valid score before session 1. A patient "
    "who has none there is not compared with any, until somebody sets one.",
    "baseline.first_valid": "Every patient has a baseline: the first valid score before session 1, or else that of "
    "the first measured session, which is then none of those that the rules look back on.",
    "baseline.explicit": "A patient has a baseline only once a person sets one; until then there is nothing to "
    "compare with, however many scores there are.",
    "baseline.by_hand": "A person can set another baseline at any time. It goes before, every session is judged again "
    "by it, and the log says who set it and why.",
    "rules": "When a session is not on track",
    "rules.one": "A session with a valid score is not on track if this rule fires at it:",
    "rules.any": "A session with a valid score is not on track if one of these rules fires at it:",
    "missing.skip": "A session without a valid score is passed over: it neither breaks the row nor lengthens it.",
    "missing.break": "A session at which a score was expected and is missing breaks the row.",
    "unless.yes": "It never fires at a session whose score is in the healthy range.",
    "example.from": "Example: with a baseline of {baseline} it fires at {first}.",
    "example.after": "Example: after a score of {baseline} it fires at {first}.",
    "example.still": "Example: with a baseline of {baseline} and then {scores} it fires at session {sessions}.",
    "example.moved": "With {scores} instead it does not.",
    "example.slow": "A patient who gets slowly better, with a baseline of {baseline} and then {scores}, is called not "
    "on track by it too, for no step is {less_than}.",
    "room": "A patient whose baseline is {beyond} cannot get {points} worse on this scale; each decision then says so.",
    "room.none": "On this scale nobody can get {points} worse: the rule never fires.",
    "window.one": "Of a single session the highest and the lowest score are the same, so it fires at every measured "
    "session.",
    "up": "{value} or higher",
    "down": "{value} or lower",
    "beyond.up": "above {value}",
    "beyond.down": "below {value}",
    "unknown": "A session without a valid score is never on track: its status is unknown. It is unknown too where no "
    "rule fires and, for want of a baseline, it cannot be told whether one of them would. Every other session is on "
    "track.",
    "after": "After a session that was not on track",
    "once.evaluated_again": "Each further session is judged again, by the same rules: a patient can be on track again "
    "at the next one.",
    "once.stays": "Once not on track, a patient stays so: every further measured session is not on track, whatever "
    "its score.",
    "persistent.one": "A row of sessions that are not on track, with none on track in between, is one episode. It is "
    "called persistent (pNOT) from its first session on.",
    "persistent.other": "A row of sessions that are not on track, with none on track in between, is one episode. Once "
    "it has {count} of them it is called persistent (pNOT).",
    "late": "A late, corrected or withdrawn answer has its session judged again, and every later one. What was "
    "decided before stays on the log.",
    "told": "Who is told, and when",
    "notify.every_not_session": "There is one report for an episode. The therapists of the group are told when it is "
    "issued, and at every further session of the episode.",
    "notify.first_of_episode": "There is one report for an episode. The therapists of the group are told when it is "
    "issued, and not at its further sessions.",
    "silent.one": "A single session whose status is unknown makes a report of its own: patients who stop answering "
    "must not go unseen.",
    "silent.other": "{count} sessions in a row whose status is unknown make a report of their own: patients who stop "
    "answering must not go unseen.",
    "beside": "What stands beside a decision",
    "healthy": "A score is in the healthy range if it is {well} {value} (cut-off {cut_off}: {meaning}; found in: "
    "{population}; source: {source}).",
    "healthy.counts": "By this policy no rule that says so fires there.",
    "healthy.beside": "That stands beside a decision, and never changes it.",
    "well.at_least": "below",
    "well.more_than": "at most",
    "well.at_most": "above",
    "well.less_than": "at least",
    "healthy.none": "No score counts as healthy, since the policy names no cut-off.",
    "error": "A difference of less than {band} from the baseline is within measurement error (reliable change after "
    "Jacobson and Truax 1991; standard deviation {sd}, reliability {alpha}, n = {n}, {population}; source: {source}). "
    "That stands beside a decision, and never changes it.",
    "error.none": "Nothing is said about measurement error, since the policy has no figures for it.",
    "provisional": "What is provisional",
    "provisional.policy": "Part of this policy has no public source. That is said wherever it is used.",
    "provisional.instrument": "Part of the questionnaire “{instrument}” has no public source. That is said wherever "
    "it is used.",
    "provisional.none": "Neither the policy nor its questionnaire is marked provisional.",
    "sources": "Where it comes from",
    "approval": "To approve it",
    "approval.ref": "Whoever approves this policy should name it by its full reference. It stands for every word and "
    "every number of it: with anything changed, it is another one.",
}
_DA: Final = {
    "looked": "Hvad det ser på",
    "looked.scale": "Regelsættet ser på ét tal for hver patient: »{label}« i spørgeskemaet »{instrument}« ({ref}, "
    "skala {scale}). Det kan være fra {lowest} til {highest}, og {worse} er dårligere.",
    "worse.higher": "højere",
    "worse.lower": "lavere",
    "baseline": "Hvad en score sammenlignes med",
    "baseline.before_first_session": "Hver patient har en baseline: den sidste gyldige score før session 1. For en "
    "patient uden en sådan score er der intet at sammenligne med, før en person sætter en baseline.",
    "baseline.first_valid": "Hver patient har en baseline: den første gyldige score før session 1 eller ellers den "
    "fra den første målte session, som så ikke er en af dem, reglerne ser tilbage på.",
    "baseline.explicit": "En patient har først en baseline, når en person sætter en; indtil da er der intet at "
    "sammenligne med, hvor mange scorer der end er.",
    "baseline.by_hand": "En person kan når som helst sætte en anden baseline. Den har forrang, hver session "
    "vurderes igen efter den, og loggen siger, hvem der satte den og hvorfor.",
    "rules": "Hvornår en session ikke er på rette spor",
    "rules.one": "En session med en gyldig score er ikke på rette spor, hvis denne regel slår til ved den:",
    "rules.any": "En session med en gyldig score er ikke på rette spor, hvis en af disse regler slår til ved den:",
    "missing.skip": "En session uden gyldig score springes over: Den hverken bryder eller forlænger rækken.",
    "missing.break": "En session, hvor en score var ventet og mangler, bryder rækken.",
    "unless.yes": "Den slår aldrig til ved en session, hvis score ligger i normalområdet.",
    "example.from": "Eksempel: Med en baseline på {baseline} slår den til ved {first}.",
    "example.after": "Eksempel: Efter en score på {baseline} slår den til ved {first}.",
    "example.still": "Eksempel: Med en baseline på {baseline} og derefter {scores} slår den til ved session "
    "{sessions}.",
    "example.moved": "Med {scores} i stedet gør den det ikke.",
    "example.slow": "Også en patient, der langsomt får det bedre, med en baseline på {baseline} og derefter {scores}, "
    "er efter den ikke på rette spor, for intet skridt er på {less_than}.",
    "room": "En patient, hvis baseline er {beyond}, kan ikke få det {points} dårligere på denne skala; det siger hver "
    "afgørelse så.",
    "room.none": "På denne skala kan ingen få det {points} dårligere: Reglen slår aldrig til.",
    "window.one": "Ved en enkelt session er den højeste og den laveste score den samme, så den slår til ved hver målt "
    "session.",
    "up": "{value} eller højere",
    "down": "{value} eller lavere",
    "beyond.up": "over {value}",
    "beyond.down": "under {value}",
    "unknown": "En session uden gyldig score er aldrig på rette spor: Dens status er ukendt. Den er også ukendt, hvor "
    "ingen regel slår til, og det for en af dem ikke kan afgøres, fordi der mangler en baseline. Enhver anden session "
    "er på rette spor.",
    "after": "Efter en session, der ikke var på rette spor",
    "once.evaluated_again": "Hver følgende session vurderes igen efter de samme regler: En patient kan være på rette "
    "spor igen ved den næste.",
    "once.stays": "Har en patient én gang ikke været på rette spor, forbliver det sådan: Hver følgende målte session "
    "er ikke på rette spor, uanset score.",
    "persistent.one": "En række sessioner, der ikke er på rette spor, uden en på rette spor imellem, er én episode. "
    "Den kaldes vedvarende (pNOT) fra sin første session.",
    "persistent.other": "En række sessioner, der ikke er på rette spor, uden en på rette spor imellem, er én episode. "
    "Når den har {count} af dem, kaldes den vedvarende (pNOT).",
    "late": "Når et svar kommer sent, rettes eller trækkes tilbage, vurderes dets session og alle senere igen. Hvad "
    "der blev afgjort før, bliver stående i loggen.",
    "told": "Hvem der får besked og hvornår",
    "notify.every_not_session": "Der er én rapport for en episode. Gruppens behandlere får besked, når den udstedes, "
    "og ved hver følgende session i episoden.",
    "notify.first_of_episode": "Der er én rapport for en episode. Gruppens behandlere får besked, når den udstedes, "
    "og ikke ved dens følgende sessioner.",
    "silent.one": "En enkelt session med ukendt status giver sin egen rapport: Patienter, der holder op med at svare, "
    "må ikke blive overset.",
    "silent.other": "{count} sessioner i træk med ukendt status giver deres egen rapport: Patienter, der holder op "
    "med at svare, må ikke blive overset.",
    "beside": "Hvad der står ved siden af en afgørelse",
    "healthy": "En score ligger i normalområdet, hvis den er {well} {value} (cut-off {cut_off}: {meaning}; "
    "fundet hos: {population}; kilde: {source}).",
    "healthy.counts": "De regler i dette regelsæt, der siger det, slår ikke til dér.",
    "healthy.beside": "Det står ved siden af en afgørelse og ændrer den aldrig.",
    "well.at_least": "under",
    "well.more_than": "højst",
    "well.at_most": "over",
    "well.less_than": "mindst",
    "healthy.none": "Ingen score regnes for rask, da regelsættet ikke nævner en cut-off.",
    "error": "En forskel på under {band} fra baseline ligger inden for måleusikkerheden (reliabel ændring efter "
    "Jacobson og Truax 1991; standardafvigelse {sd}, reliabilitet {alpha}, n = {n}, {population}; kilde: {source}). "
    "Det står ved siden af en afgørelse og ændrer den aldrig.",
    "error.none": "Der siges intet om måleusikkerhed, da regelsættet ikke har tal for den.",
    "provisional": "Hvad der er foreløbigt",
    "provisional.policy": "En del af dette regelsæt har ingen offentlig kilde. Det siges, hvor det end bruges.",
    "provisional.instrument": "En del af spørgeskemaet »{instrument}« har ingen offentlig kilde. Det siges, hvor det "
    "end bruges.",
    "provisional.none": "Hverken regelsættet eller dets spørgeskema er mærket foreløbigt.",
    "sources": "Hvor det kommer fra",
    "approval": "For at godkende det",
    "approval.ref": "Den, der godkender dette regelsæt, bør nævne det ved dets fulde reference. Den står for hvert "
    "ord og hvert tal i det: Ændres noget, er det et andet.",
}
TEXTS: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType({"en": _EN, "da": _DA})
