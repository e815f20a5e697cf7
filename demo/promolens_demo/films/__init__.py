"""What recognition is judged by beside the exam: films of the shelf, and products nobody taught."""
