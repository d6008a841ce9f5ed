"""Shuffle sharding: the few queues that a flow may use, so that one heavy flow fills few queues of another's hand.

A hand is dealt from a hash of schema and distinguisher, the same way every time
(apiserver/pkg/util/shufflesharding).
"""

from hashlib import sha256


def flow_hash(schema: str, distinguisher: str) -> int:
    """64 bits that name a flow."""
    name = schema.encode()
    digest = sha256(len(name).to_bytes(8, "little") + name + distinguisher.encode()).digest()
    return int.from_bytes(digest[:8], "little")


def deal(entropy: int, deck: int, hand: int) -> tuple[int, ...]:
    """`hand` different numbers below `deck`, equally likely for equally distributed `entropy`."""
    dealt: list[int] = []
    for taken in range(hand):
        entropy, card = divmod(entropy, deck - taken)
        for before in sorted(dealt):
            if card >= before:
                card += 1
        dealt.append(card)
    return tuple(dealt)
