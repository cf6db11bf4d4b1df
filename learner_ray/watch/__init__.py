"""The live view: a study's results folder as a page that follows it while it runs. Nothing is
written there."""
