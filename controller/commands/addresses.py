"""Commands about addresses: take, release, reserve, unreserve, list."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from controller.commands import address_tables
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    get,
    out,
    post,
    print_json,
    say,
)
from controller.model import AddressState

address = typer.Typer(
    help="Addresses ahead of demand: take, release, reserve, unreserve, list.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
SubdivisionArgument = Annotated[str, typer.Argument(metavar="SUBDIVISION", help="where")]
OwnerArgument = Annotated[str, typer.Argument(metavar="OWNER", help="the instance's name")]


@address.command(epilog="Example: umbra address take pod-a web-17")
def take(
    subdivision: SubdivisionArgument,
    owner: OwnerArgument,
    profile: Annotated[str, typer.Option(metavar="NAME", help="its application")] = "",
    reserved: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="this one, which is reserved for it")
    ] = None,
    ipv6: Annotated[bool, typer.Option("--ipv6", help="an IPv6 address")] = False,
    host: Annotated[str | None, typer.Option(metavar="NAME", help="preferred host")] = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an address for a new instance, and start it where umbra's agents do. Asked again, it is the same one."""
    body: dict[str, Any] = {"subdivision": subdivision, "owner": owner, "profile": profile}
    body |= {"reserved": reserved, "family": 6 if ipv6 else None, "host": host}
    taken = post(daemon(api, token_file), "addresses/take", body)
    say(taken, as_json, address_tables.taken(taken))


@address.command(epilog="Example: umbra address release 10.64.0.7 web-17")
def release(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="what was taken")],
    owner: OwnerArgument,
    sequence: Annotated[
        int | None, typer.Option(metavar="N", help="of the grant; a later one is left alone")
    ] = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the instance and its grant; the address cools down before anybody gets it again."""
    body = {"address": address, "owner": owner, "sequence": sequence}
    found = post(daemon(api, token_file), "addresses/release", body)
    told = "cools down" if found["released"] else "was released before"
    say(found, as_json, f"{address} {told}")


@address.command(epilog="Example: umbra address reserve pod-a 10.64.0.9 --owner db-1")
def reserve(
    subdivision: SubdivisionArgument,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="in one of its shards")],
    owner: Annotated[
        str | None, typer.Option(metavar="NAME", help="who may take it; without, nobody")
    ] = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep an address for one owner, who takes it with --reserved, or from everybody. A warm one goes cold."""
    body = {"subdivision": subdivision, "address": address, "owner": owner}
    found = post(daemon(api, token_file), "addresses/reserve", body)
    told = "from everybody" if owner is None else f"for {owner}"
    say(found, as_json, f"{found['address']} is kept {told}")


@address.command(epilog="Example: umbra address unreserve pod-a 10.64.0.9")
def unreserve(
    subdivision: SubdivisionArgument,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="what is reserved")],
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a reservation up; if the address is in use, it stays its owner's until the release."""
    body = {"subdivision": subdivision, "address": address}
    found = post(daemon(api, token_file), "addresses/unreserve", body)
    if found["state"] == AddressState.GRANTED:
        told = f"stays {found['owner']}'s until its release"
    else:
        told = f"is {found['state']}: no longer reserved"
    say(found, as_json, f"{found['address']} {told}")


@address.command("list", epilog="Example: umbra address list --subdivision pod-a --state held")
def listed(
    subdivision: Annotated[str | None, typer.Option(metavar="NAME", help="only of this")] = None,
    state: Annotated[AddressState | None, typer.Option(help="only in this state")] = None,
    owner: Annotated[str | None, typer.Option(metavar="OWNER", help="only of this one")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="at most so many")] = 1000,
    after: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="go on after this one")
    ] = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show addresses that were ever used: their state, owner, MAC address and host."""
    chosen = state.value if state is not None else None
    found = get(
        daemon(api, token_file),
        "addresses",
        subdivision=subdivision,
        state=chosen,
        owner=owner,
        limit=limit,
        after=after,
    )
    if as_json:
        print_json(found)
        return
    console = out()
    console.print(address_tables.addresses(found["addresses"]))
    if found["next"] is not None:
        console.print(f"more: umbra address list --after {found['next']}")
