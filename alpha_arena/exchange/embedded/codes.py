"""OKX's codes that the embedded exchange answers with: their HTTP status and text (specs: okx-wire §8)."""

from __future__ import annotations

from alpha_arena.exchange.embedded.state import Rejection

OK = "0"
ALL_FAILED = "1"
PARTLY_FAILED = "2"

# where the status is not 200
STATUS = {
    "50000": 400,
    "50001": 503,
    "50004": 400,
    "50005": 410,
    "50006": 400,
    "50011": 429,
    "50013": 429,
    "50014": 400,
    "50026": 500,
    "50100": 400,
    "50115": 405,
    "50404": 404,
    "51000": 400,
    "51054": 500,
    "51149": 500,
} | dict.fromkeys((*(str(code) for code in range(50101, 50108)), "50110", "50111", "50112", "50113", "50114"), 401)

TEXTS = {
    "0": "",
    "1": "All operations failed",
    "2": "Bulk operation partially succeeded",
    "50000": "Body for POST request can not be empty",
    "50001": "Service temporarily unavailable",
    "50002": "JSON syntax error",
    "50004": "Endpoint request timeout",
    "50006": "Invalid Content_Type, please use the application/json format",
    "50011": "Too Many Requests",
    "50013": "Systems are busy, please try again later",
    "50014": "Parameter {} can not be empty",
    "50026": "System error, please try again later",
    "50036": "The expTime can't be earlier than the current system time",
    "50037": "Order expired",
    "50061": "The sub-account order rate limit has been reached",
    "50071": "clOrdId already exists",
    "50101": "APIKey does not match current environment",
    "50102": "Timestamp request expired",
    "50103": 'Request header "OK-ACCESS-KEY" can not be empty',
    "50104": 'Request header "OK-ACCESS-PASSPHRASE" can not be empty',
    "50105": 'Request header "OK-ACCESS-PASSPHRASE" incorrect',
    "50106": 'Request header "OK-ACCESS-SIGN" can not be empty',
    "50107": 'Request header "OK-ACCESS-TIMESTAMP" can not be empty',
    "50110": "Your IP is not included in the trusted list of your API key",
    "50111": "Invalid OK-ACCESS-KEY",
    "50112": "Invalid OK-ACCESS-TIMESTAMP",
    "50113": "Invalid signature",
    "50115": "Invalid request method",
    "50119": "API key doesn't exist",
    "50120": "API key doesn't have permission to use this function",
    "51000": "Parameter {} error",
    "51001": "Instrument ID, Instrument ID code or Spread ID doesn't exist",
    "51004": "Order failed. The order amount exceeds the position limit of your current leverage",
    "51006": "Order price is not within the price limit",
    "51008": "Order failed. Insufficient USDT margin in account",
    "51010": "Request unsupported under current account mode",
    "51016": "Client order ID already exists",
    "51020": "Your order should meet or exceed the minimum order amount",
    "51021": "The contract hasn't been listed yet",
    "51022": "Contract suspended",
    "51023": "Position does not exist",
    "51030": "Funding fee is being settled, please try again later",
    "51046": "The take profit trigger price should be higher than the order price",
    "51047": "The stop loss trigger price should be lower than the order price",
    "51048": "The take profit trigger price should be lower than the order price",
    "51049": "The stop loss trigger price should be higher than the order price",
    "51054": "Request timed out. Please try again",
    "51100": "Unable to place order. Take profit/Stop loss conditions cannot be added to reduce-only orders",
    "51101": "The maximum amount per order for this pair is exceeded",
    "51102": "Exceeded the maximum number of pending orders for this instrument",
    "51121": "Order quantity must be a multiple of the lot size",
    "51137": "Your opening price has triggered the limit price, and the max buy price is {}",
    "51138": "Your opening price has triggered the limit price, and the min sell price is {}",
    "51149": "Order timed out. Please try again",
    "51169": "Order failed because you don't have any positions in this direction for this contract to reduce or close",
    "51170": "Failed to place order. A reduce-only order can't be the same trading direction as your existing positions",
    "51202": "Market order amount exceeds the maximum amount",
    "51204": "The price for the limit order cannot be empty",
    "51279": "The take profit trigger price can't be {} than the last price",
    "51280": "The stop loss trigger price can't be {} than the last price",
    "51400": "Order cancellation failed as the order has been filled, canceled or does not exist",
    "51503": "Your order has already been filled or canceled",
    "51603": "Order does not exist",
    "59000": "Your settings failed as you have positions or open orders",
    "59102": "Leverage exceeds the maximum limit. Please lower the leverage",
}


def status(code: str) -> int:
    """The HTTP status that goes with a code."""
    return STATUS.get(code, 200)


def refused(code: str, *details: object) -> Rejection:
    """A refusal in OKX's words; `details` fill the text's gaps."""
    return Rejection(code, TEXTS[code].format(*details))


def wrong(parameter: str) -> Rejection:
    """A parameter that is not as it must be."""
    return refused("51000", parameter)
