"""Link tests: what a link, or a device between two ports, carries, and the report that says so.

trial      what is sent and what became of it; whoever runs trials
results    the report `fieldtap.linktest-report/1`
"""
