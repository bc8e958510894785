"""The engineer's front end: command line and console.

    __main__   the entry point
    command_line  errors and exit codes
    cli        the commands, as click sees them
    machine    ports and checks          \\
    captures   start, stop, find runs     } the command layer: values in, values out,
    lab        the lab link              /  nothing printed
    offloads   what the lab link must not do
    words      counts and causes in words
    tables     values as terminal tables
    app        the console, a Textual application over the same layer

Only `app` and `screens` may import Textual.
"""
