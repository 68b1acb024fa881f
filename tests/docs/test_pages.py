"""The pages: their links lead somewhere, what they name exists, and their tables are those of the code."""

import ast
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import trustme

from contracts.codec import UnreadableReason
from contracts.topics import TOPICS
from services.cli.main import COMMANDS
from services.ingest.domain.register import Register
from services.mailer.desk import Desk
from services.mailer.domain.mailbag import Mailbags
from services.mailer.post import NO_SUCH_MAILBOX, SENDER_AT_FAULT, STEP_WITHIN
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.runtime.copies.mongo import COPIES
from services.runtime.database import Database
from services.runtime.environment import settings_of
from services.runtime.serving import BATCH_WITHIN, RECORD_WITHIN
from services.runtime.store.mongo import states_of
from services.runtime.subscription import JOINS_WITHIN
from services.scoring.domain.stage import Scoring
from services.scoring.settings import ScoringSettings
from tests.docs.markdown import ARCHITECTURE, DOCS, ROOT, Row, drawn, named, table
from tests.docs.operation_tables import mail_setting_rows, metric_rows, operation_rows, problem_rows, setting_rows

OPERATION: Final = DOCS / "operation.md"
PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("contracts", "deploy", "deploy/local", "tests/containers")),
    *sorted((ROOT / "services").glob("*/README.md")),
]
RECORDS: Final = sorted((DOCS / "adr").glob("[0-9]*.md"))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name[:4])


def prose(page: Path) -> str:
    """Give a page without its drawings."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def between_backticks(page: Path) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", prose(page)))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_to_something(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_found_from_the_readme() -> None:
    found, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in found:
            continue
        found.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)[)#]", prose(page))
        ahead += [(page.parent / link).resolve() for link in links if not link.startswith("https://")]
    assert {page.relative_to(ROOT).as_posix() for page in {*PAGES} - found} == set()


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "api.md", DOCS / "clinic-it.md", DOCS / "auditor.md"])
def test_what_the_commands_of_a_page_make_is_kept_out_of_the_repository(page: Path) -> None:
    # Master keys, tokens and answers lie in the checkout in which they are typed.
    typed = "".join(re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL))
    made = re.findall(
        r"(?:> ?|--(?:data|output|keys|write) | backup )(?:\./)?([a-zA-Z][\w.-]*)", re.sub("#.*", "", typed)
    )
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text("utf-8").splitlines()]

    assert made
    assert {name for name in made if not any(fnmatch(name, pattern) for pattern in ignored)} == set()


def test_what_the_page_of_a_region_has_made_is_kept_out_of_the_repository_too() -> None:
    # Everything is typed in its own folder; `secrets`, and what it is renamed to, open everything.
    page = (ROOT / "deploy/README.md").read_text("utf-8")
    typed = "".join(re.findall(r"^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))
    made = re.findall(
        r"> ([\w.-]+)$|^install --directory .* ([\w-]+)$|^install .* ([\w-]+) secrets/", typed, re.MULTILINE
    )
    names = {name for each in made for name in each if name} | set(re.findall(r"Rename `(\w+)`\s+to `(\w+)`", page)[0])
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text("utf-8").splitlines()}

    assert {"backups", "checkpoints", "old", "secrets", "smtp-password", "token"} <= names
    assert {name for name in names if f"deploy/{name}" not in ignored} == set()


FOLDERS: Final = ("contracts/", "deploy/", "services/", "tests/", "docs/")


@each_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    for name in between_backticks(page):
        if name.startswith(FOLDERS) and " " not in name:
            assert (ROOT / name).exists(), name


@each_page
def test_every_module_of_its_own_that_a_readme_names_exists(page: Path) -> None:
    if page.name != "README.md" or page.parent == DOCS / "adr":
        return
    for name in between_backticks(page):
        if re.fullmatch(r"[\w/]+\.py", name) and not name.startswith(FOLDERS):
            assert list(page.parent.rglob(name)), name


@each_page
def test_every_command_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    for name in between_backticks(page):
        if found := re.match(r"ontrack ([a-z]+)", name):
            assert found[1] in COMMANDS, name
        if found := re.match(r"make (\w+)", name):
            assert found[1] in targets, name


SOURCES: Final = {
    path: path.read_text("utf-8")
    for top in ("contracts", "services", "deploy", "tests/containers")
    for path in (ROOT / top).rglob("*")
    if path.suffix in {".py", ".sh"}
}


@each_page
def test_every_class_event_and_field_that_is_named_is_in_the_code(page: Path) -> None:
    code = "\n".join(path.read_text("utf-8") for path in SOURCES)
    for name in between_backticks(page):
        if re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+|[a-z]+(?:_[a-z]+)+", name):
            assert re.search(rf"\b{name}\b", code), name


@each_page
def test_nothing_is_named_that_only_one_machine_has(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|usr|Users)/", text)
    assert not re.search(r"#\d+\b", text)
    assert not re.search(r"\b(?:TODO|TBD|FIXME)\b", text)


@each_page
def test_lines_are_not_too_long_to_read(page: Path) -> None:
    long = [line for line in prose(page).splitlines() if len(line) > 120 and not line.startswith("|")]
    assert long == []


def test_every_service_says_what_it_listens_to_emits_and_owns_and_how_it_fails() -> None:
    for name in ("scoring", "not_detector", "notifier", "mailer"):
        page = ROOT / "services" / name / "README.md"
        for words in ("| listens to |", "| emits |", "| owns |", "**Fails how**"):
            assert words in page.read_text("utf-8"), (page, words)


# Decision records


@each_record
def test_a_record_has_its_four_parts_and_fits_on_a_page(record: Path) -> None:
    text = record.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences", "Considered"]
    assert text.startswith(f"# {record.name[:4]}: ")
    assert len(text.split()) <= 500


def test_the_index_lists_every_record_under_its_title() -> None:
    listed = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (DOCS / "adr" / "README.md").read_text(), re.MULTILINE
    )
    assert [(number, name) for number, name, _ in listed] == [(record.name[:4], record.name) for record in RECORDS]
    for number, name, title in listed:
        assert (DOCS / "adr" / name).read_text("utf-8").splitlines()[0] == f"# {number}: {title}"


def test_the_libraries_are_those_that_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {re.split(r"[\[<>=]", requirement)[0] for requirement in project["dependencies"]}
    text = next(record for record in RECORDS if record.name.startswith("0007")).read_text("utf-8")
    rows = re.findall(r"^\| [^|]+ \| ([a-z0-9, -]+) \|", text, flags=re.MULTILINE)
    named = {name for row in rows for name in row.split(", ") if re.fullmatch(r"[a-z][a-z0-9-]+", name)}
    assert named - {"library"} == needed


# Operation


@pytest.mark.parametrize(
    ("page", "name", "rows"),
    [
        (DOCS / "settings.md", "settings", setting_rows),
        (DOCS / "clinic-it.md", "mail settings", mail_setting_rows),
        (DOCS / "metrics.md", "metrics", metric_rows),
        (DOCS / "api.md", "operations", operation_rows),
        (DOCS / "api.md", "problems", problem_rows),
    ],
)
def test_a_table_that_is_made_from_the_code_is_in_step_with_it(
    page: Path, name: str, rows: Callable[[], Iterator[Row]]
) -> None:
    expected = list(rows())
    assert table(page, name) == expected, f"the code has\n{drawn(list(expected[0]), expected)}"


def test_the_answers_of_a_mail_server_that_fail_a_mail_or_keep_all_from_going_are_those_of_the_code() -> None:
    named = set(re.findall(r"\b5\.\d\.\d+\b", (DOCS / "clinic-it.md").read_text("utf-8")))
    codes = [f"5.{subject}.{detail}" for subject in range(8) for detail in range(40)]
    assert named == {code for code in codes if NO_SUCH_MAILBOX.match(code) or SENDER_AT_FAULT.match(code)}
    assert not NO_SUCH_MAILBOX.match("550 no such mailbox")


def test_what_is_told_later_is_told_when_the_code_tells_it() -> None:
    slow_letter = inspect.signature(Desk).parameters["slow_after"].default
    assert [row["told after seconds"] for row in table(DOCS / "metrics.md", "told later")] == [
        f"{JOINS_WITHIN:g}",
        f"{STEP_WITHIN:g}",
        f"{slow_letter:g}",
        f"{BATCH_WITHIN:g}, and {RECORD_WITHIN:g} more for each of its records",
    ]


def test_the_events_of_the_logs_are_those_of_the_code() -> None:
    code = "\n".join(text for path, text in SOURCES.items() if path.is_relative_to(ROOT / "services"))
    logged = set(re.findall(r'logger\.\w+\(\s*"([^"]+)"', code))
    assert {named(row["event"]) for row in table(DOCS / "metrics.md", "log events")} == logged


def test_the_example_of_the_settings_is_one_that_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # given what the page sets, and the files that it names
    (example,) = re.findall(r"^```sh\n(.*?)^```$", (DOCS / "settings.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "certificates").mkdir()
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "certificates" / "clinic-ca.pem"))
    for server in ("kafka", "mongodb"):
        (tmp_path / "secrets" / f"ontrack_{server}_password").write_text("secret\n")
    monkeypatch.chdir(tmp_path)
    for name, value in re.findall(r"^export (\w+)=(\S+)", example, re.MULTILINE):
        monkeypatch.setenv(name, value.strip("'"))

    # when they are read
    settings = settings_of(ScoringSettings)

    # then they lead to servers with TLS and a user
    assert settings.brokers().arguments()["security_protocol"] == "SASL_SSL"
    assert settings.server().tls
    assert settings.server().password == "secret"


def texts_of_the_services() -> set[str]:
    """Every text in the code of the services, and every piece of one between what differs."""
    code = [ast.parse(text) for path, text in SOURCES.items() if path.is_relative_to(ROOT / "services")]
    constants = (node for tree in code for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in constants if isinstance(node.value, str)}


def test_what_a_service_says_is_quoted_as_the_code_says_it() -> None:
    said = re.sub(r",\n {2}(?=`)", ", ", OPERATION.read_text("utf-8"))
    quoted = [
        quote
        for line in re.findall(r"^- ((?:`[^`]+`(?:, |: ))+)", said, re.MULTILINE)
        for quote in re.findall(r"`([^`]+)`", line)
    ]
    pieces = {piece for quote in quoted for piece in quote.split("…") if piece.strip()}
    texts = texts_of_the_services()
    assert [piece for piece in sorted(pieces) if not any(piece.rstrip() in text for text in texts)] == []
    assert len(quoted) > 30


def test_every_place_where_something_can_be_wrong_is_explained() -> None:
    code = "".join(SOURCES[ROOT / "services" / "runtime" / name] for name in ("process.py", "looking.py"))
    places = set(re.findall(r'(?:health\.set|_look_at)\(\s*f?"(\w+)', code))
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^### (.+)$", OPERATION.read_text(), re.MULTILINE))))
    assert places >= {"start", "brokers", "database", "partition"}
    assert places <= explained


def test_every_reason_for_which_a_case_halts_is_explained() -> None:
    code = (ROOT / "services" / "runtime" / "batch.py").read_text("utf-8")
    reasons = set(re.findall(r'_halt\(batch, record, f?"([\w-]+)', code))
    assert reasons == set(re.findall(r"^- `((?:definition|key|step)-\w+)", OPERATION.read_text(), re.MULTILINE))


# Architecture


def test_the_table_of_topics_is_that_of_the_contracts() -> None:
    assert [tuple(row.values()) for row in table(ARCHITECTURE, "topics")] == [
        (f"`{topic.name}`", topic.says, "yes" if topic.of_cases else "no") for topic in TOPICS.values()
    ]


def test_the_table_of_stages_is_that_of_the_services() -> None:
    stages: list[Any] = [Register, Scoring, NotDetector, Notifier, Mailbags]
    assert [list(row.values())[:4] for row in table(ARCHITECTURE, "stages")] == [
        [
            f"`{stage.name}`",
            f"`{stage.reads.name}`",
            f"`{stage.writes.name}`" if stage.writes is not None else "nothing",
            f"`{stage.state.__name__}`",
        ]
        for stage in stages
    ]


def test_the_table_of_reasons_leaves_none_out() -> None:
    assert sorted(named(row["reason"]) for row in table(ARCHITECTURE, "unreadable")) == sorted(
        get_args(UnreadableReason)
    )


@pytest.fixture
def tables_of_a_home(tmp_path: Path) -> Iterator[list[str]]:
    """The tables of a database that was just made; those of partitions by what their names are made of."""
    database = Database.create(tmp_path / "ontrack.db")
    found = database.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")
    yield list(dict.fromkeys("<topic>/<partition>" if "/" in name else name for (name,) in found))
    database.close()


def test_the_tables_of_a_home_are_all_there(tables_of_a_home: list[str]) -> None:
    assert [named(row["table"]) for row in table(ARCHITECTURE, "tables")] == tables_of_a_home


def test_the_collections_of_a_region_are_the_tables_of_a_home_and_what_a_home_has_beside_them(
    tables_of_a_home: list[str],
) -> None:
    elsewhere = {"<topic>/<partition>", "states"}
    assert {named(row["collection"]) for row in table(ARCHITECTURE, "collections")} == {
        *({*tables_of_a_home} - elsewhere),
        states_of("<stage>"),
        COPIES,
    }


def test_the_layout_shows_every_room_of_the_house() -> None:
    services = [each for each in (ROOT / "services").iterdir() if not each.name.startswith("__")]
    rooms = {f"{each.name}/" if each.is_dir() else each.name for each in services}
    shown = re.findall(r"^  (\w+(?:/|\.py)) ", ARCHITECTURE.read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(shown) == sorted(rooms)
