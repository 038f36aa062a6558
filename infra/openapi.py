"""`make openapi`: writes docs/openapi.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chalicelib.api import docs, openapi

TARGET = Path(__file__).parents[1] / "docs" / "openapi.json"


def text() -> str:
    """The description as written into the file."""
    return json.dumps(openapi.document(docs.operations()), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.relative_to(TARGET.parents[1])} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
