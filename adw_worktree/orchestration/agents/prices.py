"""What tokens cost, for programs that give no cost: the price table of genai-prices.

It comes with the package and is looked up offline; what it does not know is unknown, never free.
"""

from __future__ import annotations

from adw_worktree.orchestration.agents.record import Record, Tokens


def priced(record: Record, model: str | None = None) -> Record:
    """Return the record with an estimated cost where it reports none and the price is known.

    `model` counts if the record names none.
    """
    if record.cost_usd is not None:
        return record
    cost = estimate(record.model or model, record.tokens)
    if cost is None:
        return record
    return record._replace(cost_usd=cost, cost_source="estimated")


def estimate(model: str | None, tokens: Tokens) -> float | None:
    """Return the price of tokens in US dollars; None if model, tokens or price are not known."""
    if model is None or tokens.total is None:
        return None
    from genai_prices import Usage, calc_price  # half a second

    counted = [one or 0 for one in tokens]
    usage = Usage(
        # Theirs has all that went in.
        input_tokens=sum(counted[:3]),
        cache_read_tokens=counted[1],
        cache_write_tokens=counted[2],
        output_tokens=counted[3],
    )
    for name in (model, model.partition("/")[2]):  # `anthropic/claude-…` of opencode
        try:
            return float(calc_price(usage, model_ref=name).total_price)
        except (LookupError, ValueError):
            continue
    return None


def is_priced(model: str | None) -> bool:
    """Return whether the price of a model is known."""
    return estimate(model, Tokens(1, 0, 0, 1)) is not None
