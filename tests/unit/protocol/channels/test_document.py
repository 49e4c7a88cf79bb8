"""What docs/protocol.md shows of part 3: its example, byte for byte, its types, kinds and codes."""

from __future__ import annotations

import re
from pathlib import Path

from medusa.protocol.channels import frames
from medusa.protocol.channels.kinds import KINDS, REQUESTS, Role
from tests.streams.breaches import CHANNELS, RECORDS, STREAMS
from tests.streams.world import AGENT, CLIENT, World

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "protocol.md"
PART = DOCUMENT.read_text().partition("## Part 3: streams\n")[2].partition("\n## ")[0]


def section(title: str) -> str:
    return PART.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


def rows(text: str, *columns: int) -> list[tuple[str, ...]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    return [tuple(row[column] for column in columns) for row in cells]


def messages(title: str) -> list[tuple[int, bytes]]:
    """The messages of an example, each with the end that sends it."""
    found: list[tuple[int, bytes]] = []
    for line in section(title).partition("```\n")[2].partition("```")[0].splitlines():
        name, data = line[:8].strip(), re.split(r"  +", line[8:].strip())[0]
        if name:
            found.append((CLIENT if name == "client" else AGENT, b""))
        end, before = found[-1]
        numbers, brace, text = data.partition("{")
        found[-1] = (end, before + bytes.fromhex(numbers) + (brace + text).encode())
    return found


class Example:
    """Two ends that send the messages of an example, one after the other."""

    def __init__(self, title: str) -> None:
        self.world, self.left = World(), messages(title)
        self.world.lazy = True

    def step(self, number: int, *, last: bool = False) -> None:
        """Lets an end send the next message, which must be that of the example."""
        assert self.world.send(number) == 1
        assert (number, self.world.ends[number].way[0]) == self.left.pop(0)
        if not last:
            self.world.deliver(number)


def test_the_example() -> None:
    example = Example("An example")
    world, step = example.world, example.step
    client, agent = world.ends
    mine = world.open("session", command="cat")
    step(CLIENT)
    other = agent.open[1]
    other.accept()
    step(AGENT)
    mine.write(0, b"hi\n")
    mine.end(0)
    step(CLIENT)
    world.now = 1.0
    other.write(1, other.readers[0].read(100, world.now))
    other.result(status=0)
    other.close()
    step(AGENT)
    assert (mine.readers[1].read(9, 1.0), client.events[-2].value) == (b"hi\n", {"status": 0, "signal": None})
    step(CLIENT)
    client.channels.go_away(frames.Reason("done"))
    step(CLIENT, last=True)
    assert example.left == []


def test_the_example_of_forwarding() -> None:
    example = Example("An example of forwarding")
    world, step = example.world, example.step
    client, agent = world.ends
    world.open("listen", port=8080)
    step(CLIENT)
    agent.open[1].accept(host="127.0.0.1", port=8080)
    step(AGENT)
    mine = agent.channels.open("accepted", listener=1, peer="127.0.0.1:5000")
    step(AGENT)
    other = client.open[2]
    other.accept()
    step(CLIENT)
    mine.write(0, b"hi\n")
    mine.end(0)
    step(AGENT)
    world.now = 1.0
    other.write(0, other.readers[0].read(9, world.now))
    other.end(0)
    other.close()
    step(CLIENT)
    assert mine.readers[0].complete
    step(AGENT)
    world.open("tcp", host="localhost", port=80)
    step(CLIENT)
    agent.open[3].refuse("refused", "localhost:80: Connection refused")
    step(AGENT)
    assert client.events[-1].value == ("refused", "localhost:80: Connection refused")
    step(CLIENT)
    assert example.left == []


def test_the_table_of_types() -> None:
    found = {name: int(number) for number, name in rows(section("Frames of channels"), 0, 1) if number.isdigit()}
    names = "OPEN OPENED REFUSED DATA EOF STOP WINDOW REQUEST RESULT CLOSE GOAWAY"
    assert found == {name: getattr(frames, name) for name in names.split()}


def test_the_tables_of_kinds_and_requests() -> None:
    text = section("Frames of channels")
    found = {
        kind.strip("`"): (opener, fields)
        for kind, opener, fields in rows(text, 0, 1, 2)
        if opener in ("client", "agent")
    }
    assert set(found) == set(KINDS)
    for name, (opener, fields) in found.items():
        assert Role[opener.upper()] is KINDS[name].opener
        assert set(KINDS[name].fields) <= set(re.findall(r"`(\w+)`", fields))
    assert all(f"`{name}`" in text for name in REQUESTS)


def test_every_code_is_in_the_table_and_tested() -> None:
    found = re.findall(
        r"^\| (`.*?) \| (?:GOAWAY|CLOSE|REFUSED) \|", section("What ends a channel or a stream"), re.MULTILINE
    )
    assert sorted(re.findall(r"`([\w-]+)`", " ".join(found))) == sorted(
        {case[0] for case in (*RECORDS, *STREAMS, *CHANNELS)}
    )
