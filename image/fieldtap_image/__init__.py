"""The bootable image: build it, boot it in QEMU and judge what it did, write it to a stick.

Installs built artefacts (the engine's programs, the frozen console) through the roles in
`provision/`, and imports no other room. Start reading at `pipeline`.
"""
