"""Link tests: what a link, or a device between two ports, carries, and the report that says so.

trial, results    what is sent and what became of it; the report `fieldtap.linktest-report/1`
bench, engine     trials one after the other; trials by the engine
search, mlr       the highest load without loss
rfc2544           its course; throughput, delay, loss, bursts and recovery are its parts
y1564, quick      services; is this link clean?
soak              a steady load for hours
kinds, session    a test from its settings to its report
commands          the command line
report_*          the report as tables, CSV and a page
"""
