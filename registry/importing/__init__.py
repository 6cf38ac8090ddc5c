"""An inventory that exists elsewhere becomes models here: a CSV file, its columns, a preview, one act."""
