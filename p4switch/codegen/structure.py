"""Control-flow graphs → nested statements, by immediate post-dominators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from p4switch.errors import Unsupported

END = ""  # the exit of a graph


def post_dominators(successors: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """node → the first node that every way from it to END passes. The graph has no cycles."""
    order = topological(successors)
    depth: dict[str, int] = {END: 0}
    parent: dict[str, str] = {END: END}
    for node in reversed(order):
        targets = list(successors[node])
        meet = targets[0]
        for other in targets[1:]:
            a, b = meet, other
            while a != b:
                if depth[a] >= depth[b]:
                    a = parent[a]
                else:
                    b = parent[b]
            meet = a
        parent[node] = meet
        depth[node] = depth[meet] + 1
    return parent


def topological(successors: Mapping[str, Sequence[str]]) -> list[str]:
    """Nodes so that each comes before its successors; Unsupported when there is a cycle."""
    order: list[str] = []
    done: dict[str, bool] = {END: True}
    for root in successors:
        stack: list[tuple[str, int]] = [(root, 0)]
        while stack:
            node, position = stack.pop()
            if position == 0:
                if node in done:
                    if not done[node]:
                        raise Unsupported(f"a cycle in the control flow at {node}")
                    continue
                done[node] = False
            targets = successors[node]
            if position < len(targets):
                stack.append((node, position + 1))
                if not done.get(targets[position], False):
                    stack.append((targets[position], 0))
            else:
                done[node] = True
                order.append(node)
    order.reverse()
    return order


def has_cycle(successors: Mapping[str, Sequence[str]]) -> bool:
    """Whether some node can reach itself."""
    try:
        topological(successors)
    except Unsupported:
        return True
    return False


def backward(
    successors: Mapping[str, Sequence[str]],
    transfer: Callable[[str, set[str]], set[str]],
    at_end: set[str],
) -> dict[str, set[str]]:
    """Backward data flow over a graph without cycles: node → what holds before it."""
    before: dict[str, set[str]] = {END: at_end}
    for node in reversed(topological(successors)):
        after: set[str] = set().union(*(before[t] for t in successors[node]))
        before[node] = transfer(node, after)
    return before
