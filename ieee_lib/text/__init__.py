"""Text: sources of documents, tokenizers, packed corpora and their nested seed slices."""
