"""From a template to a page: one file, no script, nothing loaded, and a policy that keeps it so."""

import hashlib
from base64 import b64encode
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.pages.words import Words


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rendered(template: str, words: Words, *, footer: str, **parts: object) -> str:
    """Fill a template. footer: a string of style sheets that stands at the foot of every printed page."""
    environment = _environment()
    style = environment.get_template("style.css").render(footer=footer, page=footer_string(words("page")))
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(template).render(words=words, style=style, style_digest=digest, **parts) + "\n"


def footer_string(text: str) -> str:
    """Write text as a string of a style sheet; whatever is not a plain letter or digit is escaped."""
    plain = (c if c.isascii() and c.isalnum() else f"\\{ord(c):06x}" for c in text)
    return f'"{"".join(plain)}"'
