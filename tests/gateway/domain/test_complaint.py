"""What the central store may see of a complaint."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from gateway.domain.complaint import HIDDEN_ID, Complaint, for_centre


@pytest.fixture
def anonymous(complaint: Callable[..., Complaint]) -> Complaint:
    return msgspec.structs.replace(complaint("SM1"), anonymous=True)


@pytest.fixture
def made(complaint: Callable[..., Complaint]) -> Complaint:
    """Return a complaint whose id is a hash of number and text."""
    named = complaint("hash of number and text")
    return msgspec.structs.replace(named, source=msgspec.structs.replace(named.source, made_id=True))


def test_a_named_complaint_with_the_providers_id_is_not_changed(complaint: Callable[..., Complaint]) -> None:
    named = complaint("SM1")
    assert for_centre(named) == named


def test_an_anonymous_complaint_has_no_reporter(anonymous: Complaint) -> None:
    assert anonymous.reporter is not None
    assert for_centre(anonymous).reporter is None


def test_an_anonymous_complaint_has_no_providers_id(anonymous: Complaint) -> None:
    assert for_centre(anonymous).source.external_id == HIDDEN_ID


def test_an_id_made_of_the_number_is_withheld(made: Complaint) -> None:
    assert for_centre(made).source.external_id == HIDDEN_ID


def test_the_reporter_of_a_made_id_stays(made: Complaint) -> None:
    assert for_centre(made).reporter == made.reporter


@pytest.mark.parametrize("field", ["id", "title", "description", "agency", "place", "confidential", "attachments"])
def test_the_content_stays(anonymous: Complaint, field: str) -> None:
    assert getattr(for_centre(anonymous), field) == getattr(anonymous, field)
