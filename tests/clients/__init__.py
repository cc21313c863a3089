"""Programs that ask a provider with stock clients; they know nothing of wiretape.

    python -m tests.clients                   makes every call, one after the other
    python -m tests.clients openai.whole …    makes these

Keys come from the variables the clients read. Each object a client gives is a line of JSON on
stdout, written before the next one is asked for. `cases` says what a scripted provider answers to
the calls, `rounds` makes them with and without wiretape in between; both are for the tests alone.
"""
