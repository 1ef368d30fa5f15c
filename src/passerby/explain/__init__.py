"""Why a model answers as it does: maps, matches, figures and one report; nothing here changes a number."""
