"""A client of the embedded exchange that knows nothing of this project: plain ccxt.

    alpha-arena exchange exchange.port=0 > exchange.json &
    python docs/examples/embedded_ccxt.py exchange.json

Prints what it saw as one JSON object.
"""

import json
import sys

import ccxt

SYMBOL = "BTC/USDT:USDT"
ISOLATED = {"tdMode": "isolated"}


def connect(told):
    """Both urls must point at the exchange: `set_sandbox_mode` copies the second over the first."""
    account, url = told["accounts"][0], told["url"]
    exchange = ccxt.okx(
        {
            "apiKey": account["api_key"],
            "secret": account["secret"],
            "password": account["passphrase"],
            "urls": {"api": {"rest": url}, "test": {"rest": url}},
            # the exchange has a clock of its own
            "options": {"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}, "adjustForTimeDifference": True},
        }
    )
    exchange.set_sandbox_mode(True)
    exchange.load_markets()
    return exchange


def look(exchange):
    """Market data."""
    book, market = exchange.fetch_order_book(SYMBOL, 5), exchange.market(SYMBOL)
    return {
        "contract": market["contractSize"],
        "candles": len(exchange.fetch_ohlcv(SYMBOL, "15m", limit=100)),
        "funding": exchange.fetch_funding_rate(SYMBOL)["fundingRate"],
        "settled": len(exchange.fetch_funding_rate_history(SYMBOL, limit=10)),
        "last": exchange.fetch_ticker(SYMBOL)["last"],
        "spread": book["asks"][0][0] - book["bids"][0][0],
    }


def trade(exchange, last):
    """A market order and a limit order with stop and take attached; the limit order is canceled."""
    exchange.set_leverage(3, SYMBOL, {"mgnMode": "isolated", "posSide": "net"})
    levels = {"stopLoss": {"triggerPrice": round(0.8 * last)}, "takeProfit": {"triggerPrice": round(1.2 * last)}}
    names = {"market": {"clientOrderId": "example1"}, "limit": {"clientOrderId": "example2"}}
    bought = exchange.create_order(SYMBOL, "market", "buy", 1, None, ISOLATED | levels | names["market"])
    resting = exchange.create_order(SYMBOL, "limit", "buy", 1, round(0.9 * last), ISOLATED | levels | names["limit"])
    pending = [order["clientOrderId"] for order in exchange.fetch_open_orders(SYMBOL)]
    exchange.cancel_order(resting["id"], SYMBOL)
    return bought["id"], pending


def account(exchange, bought):
    """What came of it."""
    order = exchange.fetch_order(bought, SYMBOL)
    while order["status"] == "open":
        order = exchange.fetch_order(bought, SYMBOL)
    return {
        "status": order["status"],
        "filled": order["filled"],
        "equity": exchange.fetch_balance()["USDT"]["total"],
        "contracts": [position["contracts"] for position in exchange.fetch_positions([SYMBOL])],
        "orders": [each["clientOrderId"] for each in exchange.fetch_closed_orders(SYMBOL)],
        "canceled": [each["clientOrderId"] for each in exchange.fetch_canceled_orders(SYMBOL)],
        "protections": len(exchange.fetch_open_orders(SYMBOL, params={"ordType": "oco"})),
        "trades": [trade["amount"] for trade in exchange.fetch_my_trades(SYMBOL)],
    }


def main(path):
    """Look, trade, and look at the account."""
    with open(path) as file:
        exchange = connect(json.loads(file.readline()))
    seen = look(exchange)
    bought, pending = trade(exchange, seen["last"])
    sys.stdout.write(json.dumps(seen | {"pending": pending} | account(exchange, bought)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
