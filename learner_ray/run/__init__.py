"""One run: what it is, the folder that holds it, where that lies, and which versions and classes it used."""
