from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Pages by cursor: stable while rows are added, and as quick at the end as at the start."""

    ordering = "-id"
    page_size_query_param = "page_size"
    max_page_size = 200
