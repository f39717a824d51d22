"""Management: everything that people and programs look at and change while the server runs."""
