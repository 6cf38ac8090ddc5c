"""The bottom floor: the governed door through which every act passes, and the events it leaves behind."""
