"""supervisord's own files: read as supervisord 4.3.0 reads them, and put as the TOML would say it.

`syntax` knows lines, sections and options, `values` what is written in an option, `translating`
what it all comes to in initpy, and `document` is a Document made of that.
"""
