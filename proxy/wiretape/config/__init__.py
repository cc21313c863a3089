"""config.yaml and the provider packs, read into the core's values.

Every fault is reported with its line. The only importer of pydantic. Begin with `load.py`.
"""
