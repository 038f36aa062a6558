"""Users, tokens and sign-in tries: unique names, always an admin, and nothing stored that could be stolen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.users import Role, User
from chalicelib.storage.users import FailedSignIns
from tests.factories import START, TokenFactory, UserFactory
from tests.integration.storage.engines import Store

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def add(store: Store, **fields: object) -> User:
    user = UserFactory(**fields)
    store.users.create(user)
    return user


# -- users


def test_a_user_is_read_as_it_was_written(store: Store) -> None:
    """Every field; another name is not found."""
    user = add(store, role=Role.ADMIN, tokens_since=START - SECOND)
    assert store.users.get(user.username) == user
    with pytest.raises(NotFound):
        store.users.get(user.username.upper())


def test_a_name_can_be_used_once(store: Store) -> None:
    """Expects the second user to change nothing."""
    user = add(store)
    with pytest.raises(Conflict, match="this username is taken"):
        store.users.create(replace(user, password_hash="another", updated_at=START + SECOND))
    assert store.users.get(user.username) == user
    assert store.users.count() == 1


def test_changes_of_the_same_user_do_not_overwrite_each_other(store: Store) -> None:
    """Expects the second to have to read again."""
    user = add(store)
    store.users.change(user, replace(user, password_hash="first", updated_at=START + SECOND))
    for late in (
        lambda: store.users.change(user, replace(user, password_hash="second", updated_at=START + SECOND)),
        lambda: store.users.delete(user),
    ):
        with pytest.raises(Conflict, match="somebody else"):
            late()
    assert store.users.get(user.username).password_hash == "first"


def test_there_is_always_an_admin(store: Store) -> None:
    """Expects the last one not to be deleted or demoted, but one of two to be."""
    first = add(store, role=Role.ADMIN)
    add(store)
    for attempt in (
        lambda: store.users.delete(first),
        lambda: store.users.change(first, replace(first, role=Role.OPERATOR, updated_at=START + SECOND)),
    ):
        with pytest.raises(Conflict, match="last admin"):
            attempt()
    second = add(store, role=Role.ADMIN)
    store.users.change(first, replace(first, role=Role.OPERATOR, updated_at=START + SECOND))
    with pytest.raises(Conflict, match="last admin"):
        store.users.delete(second)
    assert store.users.get(first.username).role is Role.OPERATOR


def test_the_last_admin_can_change_their_password(store: Store) -> None:
    """The role stays, so nothing is counted."""
    admin = add(store, role=Role.ADMIN)
    changed = replace(admin, password_hash="new", updated_at=START + SECOND)
    store.users.change(admin, changed)
    assert store.users.get(admin.username) == changed
    assert store.users.count() == 1


def test_users_are_listed_by_name_in_pages(store: Store) -> None:
    """Expects each once, without tokens and tries."""
    users = [add(store) for _ in range(7)]
    store.users.add_token(TokenFactory(username=users[0].username))
    store.users.count_try("account#x", FailedSignIns(), START, HOUR)
    found, after, pages = [], "", 0
    while after or not pages:
        page, after = store.users.list(after, 3)
        found += page
        pages += 1
        assert pages < 5
    assert found == sorted(users, key=lambda user: user.username)
    assert store.users.count() == 7
    store.users.delete(users[0])
    assert store.users.count() == 6


# -- tokens


def test_a_token_is_found_by_its_hash(store: Store) -> None:
    """Its times are in whole seconds, as the table's time to live needs them."""
    token = TokenFactory()
    store.users.add_token(token)
    assert store.users.token(token.token_hash) == token
    assert store.users.token("0" * 64) is None


def test_a_token_is_read_with_its_user_in_one_call(store: Store) -> None:
    """Expects both, or None for what does not exist."""
    user, token = add(store), TokenFactory()
    store.users.add_token(token)
    assert store.users.holder(user.username, token.token_hash) == (token, user)
    assert store.users.holder("nobody", token.token_hash) == (token, None)
    assert store.users.holder(user.username, "0" * 64) == (None, user)
    if store.in_process is not None:
        assert store.calls_of(lambda: store.users.holder("nobody", "0" * 64)) == ["dynamodb.BatchGetItem"]


def test_a_users_tokens_are_only_their_own(store: Store) -> None:
    """Even if one name is the beginning of another; a revoked token is gone, and may be revoked again."""
    mine = [TokenFactory(username="anna") for _ in range(3)]
    other = TokenFactory(username="anna2")
    for token in [*mine, other]:
        store.users.add_token(token)
    assert {token.token_id for token in store.users.tokens("anna")} == {token.token_id for token in mine}
    for _ in range(2):
        store.users.revoke(mine[0].token_hash)
    assert store.users.token(mine[0].token_hash) is None
    assert {token.token_id for token in store.users.tokens("anna")} == {token.token_id for token in mine[1:]}
    assert store.users.token(other.token_hash) == other


# -- tries


def test_tries_are_counted_one_by_one(store: Store) -> None:
    """Two at once count once, and the other one finds that it has to read again."""
    assert store.users.tries("account#anna", START) == FailedSignIns()
    assert store.users.count_try("account#anna", FailedSignIns(), START, HOUR)
    assert not store.users.count_try("account#anna", FailedSignIns(), START, HOUR)
    seen = store.users.tries("account#anna", START)
    assert seen == FailedSignIns(1, START)
    assert store.users.count_try("account#anna", seen, START + SECOND, HOUR)
    assert store.users.tries("account#anna", START) == FailedSignIns(2, START + SECOND)
    assert store.users.tries("account#berta", START) == FailedSignIns()


def test_tries_are_forgotten_after_a_while(store: Store) -> None:
    """Even if the table still has them: DynamoDB removes them days later."""
    store.users.count_try("account#anna", FailedSignIns(), START, HOUR)
    assert store.users.tries("account#anna", START + HOUR - SECOND).count == 1
    assert store.users.tries("account#anna", START + HOUR) == FailedSignIns()
    assert store.users.count_try("account#anna", FailedSignIns(), START + HOUR, HOUR)
    assert store.users.tries("account#anna", START + HOUR) == FailedSignIns(1, START + HOUR)


def test_tries_can_be_taken_back(store: Store) -> None:
    """One of them, or all; the count is never below zero."""
    for count in range(3):
        store.users.count_try("account#anna", FailedSignIns(count), START, HOUR)
    store.users.forgive_try("account#anna")
    assert store.users.tries("account#anna", START).count == 2
    for _ in range(4):
        store.users.forgive_try("account#anna")
    assert store.users.tries("account#anna", START) == FailedSignIns()
    assert store.users.count_try("account#anna", FailedSignIns(), START, HOUR)
    store.users.forget_tries("account#anna")
    store.users.forgive_try("account#anna")
    assert store.users.tries("account#anna", START) == FailedSignIns()


def test_a_failing_engine_is_unavailable(faulty: Store) -> None:
    """Expects nobody to be signed in, and no name to be called free."""
    user = add(faulty)
    faulty.aws.refuse("dynamodb.", "ThrottlingException")
    for ask in (
        lambda: faulty.users.get(user.username),
        lambda: faulty.users.create(UserFactory()),
        lambda: faulty.users.list("", 10),
        lambda: faulty.users.token("0" * 64),
        lambda: faulty.users.holder("anna", "0" * 64),
        lambda: faulty.users.tokens("anna"),
        lambda: faulty.users.add_token(TokenFactory()),
        lambda: faulty.users.revoke("0" * 64),
        lambda: faulty.users.count_try("account#anna", FailedSignIns(), START, HOUR),
        lambda: faulty.users.forgive_try("account#anna"),
    ):
        with pytest.raises(Unavailable):
            ask()
