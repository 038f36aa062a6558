"""What the log says when a mailing changes."""

from __future__ import annotations

from ..domain.mailings import Mailing
from ..observability import logger


def log_change(old: Mailing, new: Mailing) -> None:
    """Log a change of a mailing that was saved."""
    logger.info(
        "mailing changed",
        mailing_id=new.mailing_id,
        status_before=old.status.value,
        status=new.status.value,
        revision=new.revision,
    )
