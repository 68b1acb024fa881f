"""What simulated patients write. Nobody ever wrote these sentences; no one is named, and none speaks of self-harm."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from contracts.definitions.definition import Text

Tone = Literal["better", "same", "worse"]


def _texts(*pairs: tuple[str, str]) -> tuple[Text, ...]:
    return tuple(Text(en=english, da=danish) for english, danish in pairs)


WEEK: Final[Mapping[Tone, tuple[Text, ...]]] = MappingProxyType(
    {
        "better": _texts(
            ("Slept better this week and went out twice.", "Jeg har sovet bedre i denne uge og været ude to gange."),
            (
                "I laughed with my sister, for the first time in ages.",
                "Jeg grinede med min søster, det er længe siden.",
            ),
            ("The walks in the morning do help.", "Gåturene om morgenen hjælper faktisk."),
            ("Got through a whole day at work without crying.", "Jeg kom gennem en hel arbejdsdag uden at græde."),
            ("It was easier to get out of bed.", "Det var lettere at komme ud af sengen."),
            (
                "I rang a friend back instead of leaving it.",
                "Jeg ringede tilbage til en ven i stedet for at lade være.",
            ),
            (
                "The thoughts still come, but I can let them pass.",
                "Tankerne kommer stadig, men jeg kan lade dem passere.",
            ),
            ("I cooked a proper meal three days in a row.", "Jeg lavede rigtig mad tre dage i træk."),
            ("Two good days, and the others were all right.", "To gode dage, og de andre gik an."),
            ("I look forward to things a little again.", "Jeg glæder mig så småt til ting igen."),
        ),
        "same": _texts(
            ("A week much like any other.", "En uge som de fleste andre."),
            ("Up and down, no real difference.", "Op og ned, ingen rigtig forskel."),
            ("I do what I have to, not much more.", "Jeg gør det, jeg skal, ikke meget mere."),
            ("Hard to say. Some hours were fine, others not.", "Svært at sige. Nogle timer gik fint, andre ikke."),
            ("Still tired all the time.", "Jeg er stadig træt hele tiden."),
            ("Mornings are the worst, evenings are all right.", "Morgenerne er værst, aftenerne går an."),
            ("I keep putting things off.", "Jeg bliver ved med at udskyde ting."),
            ("Nothing much happened this week.", "Der skete ikke så meget i denne uge."),
            ("I was at work, but my head was elsewhere.", "Jeg var på arbejde, men med hovedet et andet sted."),
            ("Not sure these questions show how I am.", "Jeg ved ikke, om spørgsmålene viser, hvordan jeg har det."),
        ),
        "worse": _texts(
            ("A bad week. I stayed in bed all weekend.", "En dårlig uge. Jeg blev i sengen hele weekenden."),
            ("I cancelled everything with other people.", "Jeg aflyste alt med andre mennesker."),
            ("Everything takes twice as long.", "Alting tager dobbelt så lang tid."),
            ("I hardly sleep, and then I cannot think.", "Jeg sover næsten ikke, og så kan jeg ikke tænke."),
            (
                "We argued at home again, and it will not let go.",
                "Vi skændtes igen derhjemme, og det vil ikke slippe mig.",
            ),
            ("I called in sick for three days.", "Jeg meldte mig syg i tre dage."),
            ("It feels heavier than before.", "Det føles tungere end før."),
            ("I have no strength for the exercises right now.", "Jeg har ikke kræfter til øvelserne lige nu."),
            ("I cry a lot and do not know why.", "Jeg græder meget og ved ikke hvorfor."),
            ("I wonder whether this is any use to me.", "Jeg er i tvivl om, hvorvidt det her hjælper mig."),
        ),
    }
)
"""About the week, by how the depression moved since the week before."""

GROUP: Final[Mapping[Tone, tuple[Text, ...]]] = MappingProxyType(
    {
        "better": _texts(
            ("Good to hear that others know it too.", "Rart at høre, at andre også kender det."),
            ("I said something I have never told anyone.", "Jeg sagde noget, jeg aldrig har fortalt nogen."),
            ("I can use the part about thoughts and feelings.", "Jeg kan bruge det om tanker og følelser."),
            ("We laughed together today. That did me good.", "Vi grinede sammen i dag. Det gjorde godt."),
            ("I felt listened to.", "Jeg følte mig hørt."),
            ("The example on the board was just like my week.", "Eksemplet på tavlen lignede min uge på en prik."),
            ("I go home with something I want to try.", "Jeg går hjem med noget, jeg vil prøve."),
        ),
        "same": _texts(
            ("A good session, a little long for me.", "Et godt møde, lidt langt for mig."),
            ("I mostly listened today.", "Jeg lyttede mest i dag."),
            ("I knew some of it already.", "Noget af det kendte jeg i forvejen."),
            ("Fine, but the break was too short.", "Fint, men pausen var for kort."),
            ("It takes me a while to join in.", "Det tager mig lidt tid at komme med."),
            ("We had to hurry at the end.", "Vi fik travlt til sidst."),
            ("All right. I was tired today.", "Det gik. Jeg var træt i dag."),
        ),
        "worse": _texts(
            ("I did not dare to say anything.", "Jeg turde ikke sige noget."),
            ("Everyone talked at once, and I lost the thread.", "Alle talte på én gang, og jeg tabte tråden."),
            ("We did not get to what matters to me.", "Vi nåede ikke til det, der er vigtigt for mig."),
            ("I seem to be the only one not getting better.", "Jeg er vist den eneste, der ikke får det bedre."),
            ("One remark hurt, and nobody took it up.", "En bemærkning gjorde ondt, og ingen tog den op."),
            ("It went too fast for me today.", "Det gik for stærkt for mig i dag."),
            ("I would rather have talked to someone alone.", "Jeg ville hellere have talt med nogen alene."),
        ),
    }
)
"""About the session, by how the group was experienced."""

PROBLEMS: Final = _texts(
    ("I cannot get started in the morning", "Jeg kan ikke komme i gang om morgenen"),
    ("I withdraw from my friends", "Jeg trækker mig fra mine venner"),
    ("I lie awake and turn everything over", "Jeg ligger vågen og vender og drejer alting"),
    ("I snap at the children", "Jeg vrisser ad børnene"),
    ("I am afraid of losing my job", "Jeg er bange for at miste mit arbejde"),
    ("I no longer enjoy anything", "Jeg glæder mig ikke længere over noget"),
    ("I never feel good enough", "Jeg føler mig aldrig god nok"),
    ("The bills lie there unopened", "Regningerne ligger uåbnede hen"),
    ("My partner and I only talk about practical things", "Min partner og jeg taler kun om det praktiske"),
    ("I cannot concentrate on what I read", "Jeg kan ikke koncentrere mig om det, jeg læser"),
    ("I say yes to too much and then break down", "Jeg siger ja til for meget og bryder så sammen"),
    ("I do not go out on my own", "Jeg går ikke ud alene"),
    ("I cannot get over my mother's death", "Jeg kan ikke komme over min mors død"),
    ("I eat when I feel empty", "Jeg spiser, når jeg føler mig tom"),
    ("I do not know what to do with my life", "Jeg ved ikke, hvad jeg vil med mit liv"),
)
"""What patients name as the problem that troubles them most."""
